"""How columns become cells: fields, levels, slices and codebooks of embeddings."""

from calidris.state.coding.centroids import fitting_rows, learn_codebook
from calidris.state.coding.codebook import Codebook
from calidris.state.coding.corner_fitting import fit_corners
from calidris.state.coding.corners import Corners
from calidris.state.coding.encoding import CountedFields
from calidris.state.coding.fields import Field, Kind, Role
from calidris.state.coding.slices import MAX_SLICE_ROWS, Slice, SliceAxis

__all__ = [
    "MAX_SLICE_ROWS",
    "Codebook",
    "Corners",
    "CountedFields",
    "Field",
    "Kind",
    "Role",
    "Slice",
    "SliceAxis",
    "fit_corners",
    "fitting_rows",
    "learn_codebook",
]
