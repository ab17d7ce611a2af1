"""How Sphinx builds this site: `make docs`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
sys.path.insert(0, str(Path(__file__).parent.parent))  # this checkout's packages, not others that are installed

from gfp_serve import __version__

project = "GFP-Serve"
author = "the authors of GFP-Serve"
copyright = "the authors of GFP-Serve; Apache-2.0"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "commands", "fields", "http_reference", "layouts", "protocol"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_ext"]

# Pages are Markdown. Headings get anchors, so that one page can link to a part of another.
myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 4

# Docstrings and help put code in single backticks, and dashes mean what they are.
smartquotes = False
default_role = "literal"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

# Every reference must lead somewhere. Types of other packages have no page here, and a shape in an annotation is text.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(np|numpy|torch|nn|grpc|click|abc|collections|pathlib|typing|jaxtyping|contextlib|datetime|types)\..*"),
    (
        "py:.*",
        r"(Any|Callable|ClassVar|Literal|Self|(Async)?(Generator|Iterable|Iterator)|Mapping|Sequence|Path|T|M|C)",
    ),
    ("py:.*", r"(ABC|Exception|Array|ndarray|Module|Tensor|optional)"),
    ("py:.*", r"(Float|Float32|Int|Int8|Int16|Int64|Integer|Bool)\[?.*"),
    ("py:.*", r"gfp_serve\..*\.[RT]"),  # type variables
]

html_theme = "furo"
html_title = f"GFP-Serve {__version__}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
# System fonts and no icons of others: a page loads nothing from another host.
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5c94", "color-brand-content": "#0b5c94"},
    "dark_css_variables": {"color-brand-primary": "#6cb6ee", "color-brand-content": "#6cb6ee"},
}
