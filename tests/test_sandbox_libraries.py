"""What the contract lets a checker import works behind the seal, where nothing more can be loaded."""

import numpy as np
import pytest

from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.types import Checker

SKIMAGE = (
    *("color", "draw", "exposure", "feature", "filters", "graph", "measure", "metrics", "morphology"),
    *("registration", "restoration", "segmentation", "transform", "util"),
)
SOURCE = """
import collections, colorsys, cv2, dataclasses, enum, fractions, re, statistics
import numpy as np
{imports}

def check(initial, current):
    c = current
    g = np.ascontiguousarray(c[..., 0])
    x = {expression}
    return initial is not None
"""
EXPRESSIONS = (
    "measure.label(g>100)",
    "measure.regionprops(measure.label(g>100))[0].eccentricity",
    "[r.solidity for r in measure.regionprops(measure.label(g>100))]",
    'measure.regionprops_table(measure.label(g>100), properties=("area","centroid","perimeter"))',
    "measure.find_contours(g, 100)",
    "measure.block_reduce(g, 2)",
    "measure.shannon_entropy(g)",
    "measure.moments_hu(measure.moments_normalized(measure.moments_central(g)))",
    "feature.canny(g)",
    "feature.match_template(g, g[:10,:10])",
    "feature.peak_local_max(g, min_distance=3)",
    "feature.corner_harris(g)",
    "feature.blob_log(g/255.)",
    "feature.hog(g)",
    "feature.local_binary_pattern(g, 8, 1)",
    "feature.graycomatrix(g, [1], [0])",
    "feature.ORB().detect(g)",
    "filters.threshold_otsu(g)",
    "filters.gaussian(g)",
    "filters.sobel(g)",
    "filters.median(g)",
    "filters.rank.entropy(g, morphology.disk(3))",
    "morphology.remove_small_objects(g>100, 5)",
    "morphology.binary_opening(g>100)",
    "morphology.skeletonize(g>100)",
    "morphology.convex_hull_image(g>100)",
    "morphology.convex_hull_object(g>100)",
    "segmentation.watershed(g)",
    "segmentation.slic(c, n_segments=5)",
    "segmentation.felzenszwalb(c)",
    "segmentation.clear_border(g>100)",
    "segmentation.find_boundaries(measure.label(g>100))",
    "segmentation.flood(g,(0,0))",
    "segmentation.random_walker(g, measure.label(g>100))",
    "transform.resize(g,(20,20))",
    "transform.rotate(g, 10)",
    "transform.hough_line(g>100)",
    "transform.hough_circle(g>100, [5])",
    "transform.probabilistic_hough_line(g>100)",
    "transform.warp(g, transform.AffineTransform(scale=(1,1)))",
    'transform.estimate_transform("affine", np.array([[0,0],[1,0],[0,1.]]), np.array([[0,0],[1,0],[0,2.]]))',
    "color.rgb2hsv(c)",
    "color.rgb2lab(c)",
    "color.deltaE_ciede2000(color.rgb2lab(c), color.rgb2lab(c))",
    "color.label2rgb(measure.label(g>100))",
    "exposure.histogram(g)",
    "exposure.equalize_adapthist(g)",
    "exposure.rescale_intensity(g)",
    "exposure.match_histograms(g,g)",
    "draw.disk((5,5),3)",
    "draw.polygon([1,2,3],[1,5,1])",
    "draw.line(0,0,5,5)",
    "util.img_as_float(g)",
    "util.view_as_windows(g,(3,3))",
    "util.invert(g)",
    "metrics.structural_similarity(g,g)",
    "metrics.mean_squared_error(g,g)",
    "registration.phase_cross_correlation(g,g)",
    "restoration.denoise_tv_chambolle(g)",
    "graph.route_through_array(g,(0,0),(5,5))",
    "cv2.matchTemplate(g, g[:10,:10], cv2.TM_CCOEFF_NORMED)",
    "cv2.HoughCircles(g, cv2.HOUGH_GRADIENT, 1, 20)",
    "cv2.goodFeaturesToTrack(g, 5, .1, 3)",
    "cv2.ORB_create().detectAndCompute(g, None)",
    "cv2.SIFT_create().detectAndCompute(g, None)",
    "cv2.Canny(g, 50, 100)",
    "cv2.kmeans(c.reshape(-1,3).astype(np.float32), 2, None, (3,10,1.0), 1, cv2.KMEANS_PP_CENTERS)",
    "cv2.calcOpticalFlowFarneback(g,g,None,.5,3,15,3,5,1.2,0)",
    "cv2.floodFill(g.copy(), None, (0,0), 5)",
    "cv2.distanceTransform((g>100).astype(np.uint8), cv2.DIST_L2, 3)",
    "cv2.minAreaRect(np.argwhere(g>100).astype(np.float32))",
    "cv2.phaseCorrelate(g.astype(np.float32), g.astype(np.float32))",
    "np.fft.fft2(g)",
    "np.linalg.svd(g.astype(float))",
    "np.polyfit([1,2,3],[1,2,4],1)",
    "np.histogram(g)",
    'np.einsum("ij,ij->", g.astype(float), g.astype(float))',
    "np.ma.masked_array(g, g>3).mean()",
    "np.polynomial.Polynomial.fit([1,2,3],[1,2,3],1)",
    'np.char.upper(["a"])',
    "np.nanpercentile(g, 5)",
    "np.apply_along_axis(sum, 0, g)",
    'np.datetime64("2020-01-01")',
    "np.array2string(g)",
    "str(g)",
    "statistics.median([1,2,3])",
    're.compile("a+").match("aa")',
    'dataclasses.dataclass(type("A",(),{"__annotations__":{"x":int}}))',
    "fractions.Fraction(1,3)",
    'f"{0.5:.2f} {g.mean():>10}"',
    '"äö".encode("latin-1")',
    "sorted(collections.Counter([1,2]).items())",
    'collections.namedtuple("P","x y")(1,2)',
    'enum.Enum("E","A B").A',
)


def scene() -> np.ndarray:
    """A square, a bar, and noise, (80, 80, 3)."""
    frame = np.zeros((80, 80, 3), np.uint8)
    frame[20:40, 20:40], frame[50:60, 50:70] = 200, (255, 90, 0)
    return frame + np.random.default_rng(0).integers(0, 40, frame.shape, dtype=np.uint8)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_it_works_behind_the_seal(expression: str) -> None:
    imports = "".join(f"from skimage import {name}\n" for name in SKIMAGE if f"{name}." in expression)
    source = SOURCE.format(imports=imports, expression=expression)
    with CheckerProcess([Checker("it", source)]) as process:
        (outcome,) = process.run("it", scene(), scene()[None])
    assert outcome.done, outcome
