"""Movements, comparisons and repetitions <-> messages of view.proto."""

import numpy as np

from gfp_serve.compare import Comparison, JointDifference
from gfp_serve.config import Limits
from gfp_serve.errors import InvalidRequestError
from gfp_serve.layouts import NTU25
from gfp_serve.movement import Movement, movement_of_clip
from gfp_serve.repetitions import RepetitionCounter
from gfp_serve.v1 import embedding_pb2, gallery_pb2, view_pb2
from gfp_serve.wire.arrays import read_fps, read_sequence, write_positions


def read_movement(message: embedding_pb2.Sequence, limits: Limits) -> Movement:
    """The body of a sequence that moves most. Raises what `read_sequence` and `movement_of_clip` do."""
    sequence, layout, _ = read_sequence(message, limits)
    return movement_of_clip(sequence, layout, read_fps(message))


def content_of(message: view_pb2.Shown) -> str:
    """Which of its alternatives is set: "sequence" or "id". Raises `InvalidRequestError` if none is."""
    content = message.WhichOneof("by")
    if content is None:
        raise InvalidRequestError("it is empty; set one of sequence and id.")
    return str(content)


def write_movement(movement: Movement) -> gallery_pb2.Motion:
    """A movement as a motion of one body. Times are those of equal distances."""
    positions = np.where(movement.known[..., None], movement.positions, np.float32(np.nan))
    seconds = movement.seconds
    return gallery_pb2.Motion(
        positions=write_positions(positions[:, None]),
        num_frames=movement.num_frames,
        num_bodies=1,
        num_joints=NTU25.num_joints,
        layout=NTU25.name,
        frame_numbers=range(movement.num_frames),
        fps=(movement.num_frames - 1) / seconds if seconds else 0.0,
    )


def write_comparison(found: Comparison) -> view_pb2.CompareResponse:
    """The message of a comparison."""
    motion_s, wanted_s = (
        np.zeros(movement.num_frames) if movement.times_s is None else movement.times_s - movement.times_s[0]
        for movement in (found.motion, found.wanted)
    )
    return view_pb2.CompareResponse(
        motion=write_movement(found.motion),
        wanted=write_movement(found.wanted),
        motion_frames=found.motion_frames.tolist(),
        wanted_frames=found.wanted_frames.tolist(),
        joints=map(_write_joint, found.joints),
        worst_moments=[
            view_pb2.WorstMoment(
                step=worst.step,
                motion_s=motion_s[found.motion_frames[worst.step]],
                wanted_s=wanted_s[found.wanted_frames[worst.step]],
                mean_cm=worst.mean_cm,
                joint=NTU25.canonical_names[worst.joint],
                joint_cm=worst.joint_cm,
            )
            for worst in found.worst_moments
        ],
        mean_cm=found.mean_cm,
        tempo=found.tempo or 0.0,
    )


def _write_joint(found: JointDifference) -> view_pb2.JointDifference:
    message = view_pb2.JointDifference(
        name=NTU25.canonical_names[found.joint],
        joint=found.joint,
        mean_cm=found.mean_cm,
        most_cm=float(np.nanmax(found.cm)),
        cm=found.cm.tolist(),
    )
    if found.degrees is not None:
        message.mean_degrees, message.most_degrees = found.mean_degrees or 0.0, found.most_degrees or 0.0
        message.degrees.extend(found.degrees.tolist())
    return message


def write_count(counter: RepetitionCounter) -> view_pb2.CountRepetitionsResponse:
    """The message of what was counted."""
    return view_pb2.CountRepetitionsResponse(
        repetitions=[
            view_pb2.Repetition(start_s=each.start_s, end_s=each.end_s, nearness=each.nearness)
            for each in counter.repetitions
        ],
        nearness=counter.nearness,
        times_s=counter.times_s,
    )
