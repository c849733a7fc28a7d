"""The joints of Leeds Sports Pose, in its order, and what they share with COCO's."""

JOINTS = (
    "right_ankle",
    "right_knee",
    "right_hip",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "neck",
    "head_top",
)
LIMBS = JOINTS[:12]  # those that COCO has too
TORSO = (JOINTS.index("right_shoulder"), JOINTS.index("left_hip"))  # its diagonal is the unit of PCK
MIRRORED = tuple(
    JOINTS.index(name.replace("right", "left") if name.startswith("right") else name.replace("left", "right"))
    for name in JOINTS
)
