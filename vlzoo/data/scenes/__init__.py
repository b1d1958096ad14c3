"""Scenes: a corpus that is generated, in which truth is known, written in the formats of the data the field uses.

A scene is a picture of 1 to 6 objects with color, shape, size, texture and place. `make_scenes` draws scenes by lot
and writes what is true of them. Pictures of the test split are made of 12 combinations of color and shape that no
picture and no text of the other splits holds; the other 36 make up training and validation.

    DIR/
      card.json                     name, licence, seed, sizes, fingerprint, generator version
      images/{image_id}.png         all pictures; ids count from 1: train, val, test, then the premises of each split
      annotations/
        scenes.jsonl                the exact description of every picture: objects, boxes, ground, curtain
        captions/dataset_scenes.json             Karpathy's format (dataset_coco.json): train, restval, val, test
        instances/instances_{train,val,test}.json   COCO instances; categories are shapes
        visual_genome/{image_data,region_descriptions,objects,attributes}.json   training pictures only
        vqa/v2_OpenEnded_scenes_{train,val,test}_questions.json, v2_scenes_{train,val,test}_annotations.json
        nlvr2/{train,dev,test1}.json             one JSON a line; `images` names the two files in images/
        snli_ve/snli_ve_{train,dev,test}.jsonl   the picture is images/{Flickr30K_ID}.png
        refcoco/{refs(umd),instances}.json       refs(*).p as JSON; all scenes of all splits
      unpaired/
        images/{image_id}.png       every other training picture, to be read without text
        texts.txt                   a caption a line, of the training pictures that are not in unpaired/images
"""
