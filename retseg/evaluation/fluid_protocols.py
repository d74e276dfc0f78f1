"""What others printed for fluid on Duke DME, by the split that they used, and how they scored: to stand beside ours."""

from dataclasses import dataclass

DUKE = "Duke DME"


@dataclass(frozen=True, slots=True)
class Published:
    """One printed Dice of fluid: whose, how it was scored as far as that is known, and where it is from.

    nearest: the average of our tables that is most like it.
    """

    method: str
    dice: float
    scored: str
    nearest: str
    source: str


HE = "He et al., doi 10.1007/978-3-030-32239-7_14 and 10.1016/j.media.2020.101856; taken from a survey of the field"
HE_SCORED = "grader 1, columns 135 to 634; whether pooled or a mean over scans is not known to us"
YNET_SCORED = (
    "grader 1, columns with annotated layers, 224 x 224 px; mean over scans of 2 (I + e) / (P + Y + e), which is 2 for "
    "a scan without fluid in both: here after that was mended"
)

PUBLISHED: dict[tuple[str, str], tuple[Published, ...]] = {
    ("he2019", "val"): (
        Published("He et al., regression of surfaces", 0.70, HE_SCORED, "pooled", HE),
        Published("ReLayNet, as they trained it", 0.70, HE_SCORED, "pooled", HE),
        Published("Chiu et al. 2015, kernel regression", 0.56, HE_SCORED, "pooled", HE),
    ),
    ("ynet", "test"): (
        Published(
            "Y-Net",
            0.66,
            YNET_SCORED,
            "mean_over_scans",
            "Farshad et al. 2022, arXiv 2204.07613; metric: per_class_dice of github.com/azadef/ynet; the mended "
            "figure is from a survey of the field",
        ),
    ),
}
"""By the name of the split and its side that was scored. leave_one_subject_out has no printed figure known to us."""


def published(data_name: str, split_rule: str, side: str) -> tuple[Published, ...]:
    """What was printed for a side of a split of a data set; nothing for any other."""
    return PUBLISHED.get((split_rule, side), ()) if data_name == DUKE else ()
