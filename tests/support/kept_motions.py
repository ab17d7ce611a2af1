"""Motions as galleries keep them, for tests."""

import numpy as np

from gfp_serve.kept_motion import LAYOUT, KeptMotion, motion_of


def kept_motion(seed: int, *, clip_frames: int = 100, bodies: int = 1, fps: float | None = 30.0) -> KeptMotion:
    """Return somebody who drifts, without hands in some frames. Each seed gives another person."""
    random = np.random.default_rng(seed)
    shape = (clip_frames, bodies, LAYOUT.num_joints)
    pose = random.uniform(-0.9, 0.9, (1, *shape[1:], 3))
    steps = random.normal(0, 0.02, (*shape, 3)).cumsum(axis=0)
    known = np.ones(shape, dtype=bool)
    known[clip_frames // 3 : clip_frames // 2, 0, [7, 11]] = False
    motion = motion_of((pose + steps).astype(np.float32), known, fps)
    assert motion is not None
    return motion


def same_motion(found: KeptMotion | None, kept: KeptMotion) -> bool:
    """Say whether what was found is what was kept, to half a millimetre."""
    if found is None or found.positions.shape != kept.positions.shape or found.fps != kept.fps:
        return False
    return bool(
        (found.frame_numbers == kept.frame_numbers).all()
        and (np.isnan(found.positions) == np.isnan(kept.positions)).all()
        and (np.nan_to_num(np.abs(found.positions - kept.positions)) <= 0.000501).all()
    )
