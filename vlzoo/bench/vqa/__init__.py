"""Questions about pictures: everything of VQA and GQA in one folder."""
