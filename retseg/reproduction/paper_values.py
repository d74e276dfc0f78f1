"""What the paper prints: the numbers of its tables, and the settings that its text names.

S. M. A. I. Saky and U. Tshering, "Enhanced SegNet with integrated Grad-CAM for interpretable retinal layer
segmentation in OCT images", 10 September 2025. Pairs are (training, validation); tuples of eight go by class id 0..7.
"""

from dataclasses import dataclass

Pair = tuple[float, float]
Eight = tuple[float, ...]


@dataclass(frozen=True)
class Paper:
    """The paper's numbers. A test that changes one sees which verdicts rest on it."""

    # Section 3.1 and 3.6: the data
    num_images: int = 220
    num_volumes: int = 220
    shape: tuple[int, int] = (216, 500)
    num_classes: int = 8
    num_layers: int = 8
    val_fraction: float = 0.2
    input_size: tuple[int, int] = (256, 256)

    # Section 3.2 and 3.6: the network
    encoder_widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    smallest_size: tuple[int, int] = (8, 8)
    last_convolution: str = "Conv2d_20"
    max_width: int = 512

    # Section 3.3 and 3.6: the loss; weights of (cross-entropy, Dice)
    equation_3_weights: Pair = (1.0, 0.5)
    section_3_6_weights: Pair = (0.5, 0.5)

    # Section 3.4: training
    learning_rate: float = 1e-3
    betas: Pair = (0.9, 0.999)
    num_epochs: int = 100
    batch_size: int = 32
    early_stopping_in_text: bool = True
    plateau_accuracy: Pair = (0.576, 0.608)
    """Read off Figure 3: where the accuracy curves lie flat for about the first 20 epochs."""

    # Table 1
    accuracy: Pair = (0.9577, 0.9577)
    dice: Pair = (0.9445, 0.9446)
    iou: Pair = (0.8948, 0.8951)
    loss: Pair = (0.1359, 0.1354)

    # Table 2, and what section 4.3 says of it
    class_iou: Eight = (0.99, 0.82, 0.86, 0.71, 0.68, 0.90, 0.82, 0.78)
    class_accuracy_percent: Eight = (99.2, 91.3, 93.7, 85.2, 80.5, 95.1, 91.7, 88.6)
    strong_classes: tuple[int, ...] = (2, 5, 6)
    strong_iou: float = 0.85

    # Table 3, and what section 4.4 says of Figure 6
    alpha_19: Eight = (9.81e-05, -2.06e-04, 1.93e-05, -7.21e-05, 9.62e-05, -6.52e-05, -4.81e-05, 4.26e-06)
    max_19: Eight = (1.0,) * 8
    mean_19: Eight = (0.369, 0.208, 0.084, 0.059, 0.090, 0.288, 0.051, 0.045)
    alpha_20: Eight = (0.125,) * 8
    max_20: Eight = (1.0,) * 8
    mean_20: Eight = (0.641, 0.067, 0.060, 0.029, 0.033, 0.095, 0.044, 0.031)
    weak_class_in_figure_6: int = 0

    # What the authors' published code does
    early_stopping_in_code: bool = False
    score_in_code: str = "mean"
    precision_recall_from_hard_labels: bool = True

    # Section 3.6: the machine
    gpu: str = "P100"
    python: str = "3.10.12"
    framework: str = "TensorFlow 2.12.0"


PAPER = Paper()

NUM_DUKE_SUBJECTS = 10
NUM_DUKE_BSCANS_PER_SUBJECT = 11
NUM_DUKE_GRADERS = 2
"""Chiu et al. 2015, doi 10.1364/BOE.6.001172: eleven B-scans of each of ten eyes, each annotated by two graders."""

DUKE_AXIAL_UM, DUKE_LATERAL_UM = 3.87, 11.33
"""Pixel size of the arrays of 216 x 500, if they are an unscaled crop (CVIP 2018 says so)."""
