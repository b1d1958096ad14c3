"""A check that is given a part that breaks just what it looks at."""

from __future__ import annotations

import pytest

from vlzoo.testing.case import Case, ContractError


@pytest.fixture
def refused():
    """What a check says of a broken part: `refused(check, kind, part, options, **given)`."""

    def found(check, kind, part, options=None, **given) -> str:
        with pytest.raises(ContractError) as error:
            check(Case.of(kind, part, options, **given))
        assert error.value.fix, "a message tells what to do"
        return str(error.value)

    return found
