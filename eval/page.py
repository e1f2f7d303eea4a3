"""The templates of the HTML pages: self-contained files for people, with everything from outside escaped."""

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from eval.differences import points, signed_points


def page_template(name: str) -> Template:
    """A template of `eval/templates`; `points` and `signed_points` write fractions as people read them."""
    environment = Environment(
        loader=PackageLoader("eval"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"points": points, "signed_points": signed_points}
    return environment.get_template(name)
