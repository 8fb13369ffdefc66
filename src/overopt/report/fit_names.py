"""Fits in words: which method, which form, and whether the sizes share one alpha."""

from overopt.config.methods import METHODS, SHARED_FORM, label_of, shares_alpha
from overopt.theory.forms import FORMS


def fit_name(method: str, form: str) -> str:
    """Name of a kind of fit, such as "PPO with one alpha"."""
    return f"{label_of(method)} with one alpha" if form == SHARED_FORM else label_of(method)


def fit_law(method: str) -> str:
    """Law of gold that belongs to a method, such as "gold = d (alpha - beta d)"."""
    return f"gold = {FORMS[METHODS[method].form].text}"


def fit_title(method: str, form: str) -> str:
    """Heading of a table of coefficients."""
    sharing = ""
    if shares_alpha(method):
        is_shared = form == SHARED_FORM
        sharing = (
            ", one alpha for all reward-model sizes"
            if is_shared
            else ", an alpha for each reward model"
        )
    return f"{METHODS[method].title}: {fit_law(method)}{sharing}"


def alpha_words(form: str) -> str:
    """How sizes share alpha, where a form has both kinds of fits; else nothing."""
    return {"rl": "own alpha", SHARED_FORM: "one alpha"}.get(form, "")
