import numpy as np
from gfp_serve.preprocess import *
from gfp_serve.skeleton import *


def test_x():
    assert resample(np.zeros((3, 2), "f4"), 5).shape == (5, 2)
    clean(np.random.rand(4, 20, 3).astype("f4"), KINECT20, PreprocessConfig())
