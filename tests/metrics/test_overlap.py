import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from sklearn import metrics as sklearn_metrics

from retseg.anatomy import CLASS_NAMES, IGNORE
from retseg.metrics.overlap import (
    OverlapScores,
    accuracy,
    confusion_matrix,
    dice,
    iou,
    precision,
    predicted_classes,
    recall,
)

# 1 x 2 x 5 pixels, three classes, class 2 absent from both.
TRUTH = torch.tensor([[[0, 0, 1, 1, IGNORE], [0, 1, 1, 1, IGNORE]]])
PREDICTION = torch.tensor([[[0, 1, 1, 1, 1], [0, 1, 0, 1, 0]]])


def random_masks():
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 5, (3, 7, 11), generator=generator)
    prediction = torch.where(torch.rand(truth.shape, generator=generator) < 0.6, truth, 4 - truth)
    return truth, prediction


def test_confusion_by_hand_rows_are_truth():
    assert confusion_matrix(PREDICTION, TRUTH, 3).tolist() == [[2, 1, 0], [1, 4, 0], [0, 0, 0]]


def test_scores_by_hand_absent_class_is_nan():
    confusion = confusion_matrix(PREDICTION, TRUTH, 3)
    assert dice(confusion)[:2].tolist() == pytest.approx([4 / 6, 8 / 10])
    assert iou(confusion)[:2].tolist() == pytest.approx([2 / 4, 4 / 6])
    assert recall(confusion)[:2].tolist() == pytest.approx([2 / 3, 4 / 5])
    assert precision(confusion)[:2].tolist() == pytest.approx([2 / 3, 4 / 5])
    assert accuracy(confusion).item() == pytest.approx(6 / 8)
    assert all(score(confusion)[2].isnan() for score in (dice, iou, recall, precision))


def test_a_class_that_is_predicted_but_never_true_scores_zero_and_has_no_recall():
    confusion = confusion_matrix(torch.tensor([[[0, 2]]]), torch.tensor([[[0, 0]]]), 3)
    assert dice(confusion)[2] == 0
    assert iou(confusion)[2] == 0
    assert recall(confusion)[2].isnan()
    assert precision(confusion)[2] == 0


def test_a_class_that_is_true_but_never_predicted_has_no_precision():
    confusion = confusion_matrix(torch.tensor([[[0, 0]]]), torch.tensor([[[0, 2]]]), 3)
    assert precision(confusion).tolist()[0] == 0.5
    assert precision(confusion)[2].isnan()
    assert recall(confusion)[2] == 0


def test_nothing_annotated_scores_nothing():
    confusion = confusion_matrix(torch.tensor([[[0, 1, 2]]]), torch.full((1, 1, 3), IGNORE), 3)
    assert confusion.sum() == 0
    assert all(score(confusion).isnan().all() for score in (dice, iou, recall, precision, accuracy))


def test_agrees_with_scikit_learn():
    truth, prediction = random_masks()
    confusion = confusion_matrix(prediction, truth, 5)
    y_true, y_pred = truth.flatten().numpy(), prediction.flatten().numpy()
    assert np.array_equal(confusion.numpy(), sklearn_metrics.confusion_matrix(y_true, y_pred))
    assert np.allclose(dice(confusion), sklearn_metrics.f1_score(y_true, y_pred, average=None))
    assert np.allclose(iou(confusion), sklearn_metrics.jaccard_score(y_true, y_pred, average=None))
    assert np.allclose(recall(confusion), sklearn_metrics.recall_score(y_true, y_pred, average=None))
    assert np.allclose(precision(confusion), sklearn_metrics.precision_score(y_true, y_pred, average=None))
    assert accuracy(confusion).item() == pytest.approx(sklearn_metrics.accuracy_score(y_true, y_pred))


def test_agrees_with_torchmetrics_segmentation_and_jaccard():
    from torchmetrics.classification import MulticlassJaccardIndex

    truth, prediction = random_masks()
    theirs = MulticlassJaccardIndex(num_classes=5, average="none")(prediction, truth)
    assert torch.allclose(iou(confusion_matrix(prediction, truth, 5)), theirs)


def logits_and_mask():
    generator = torch.Generator().manual_seed(1)
    logits = 5 * torch.randn(4, 8, 6, 10, generator=generator)
    mask = torch.randint(-1, 8, (4, 6, 10), generator=generator)
    return logits, mask


def test_soft_scores_equal_their_formulas_on_one_hot_masks():
    logits, mask = logits_and_mask()
    probabilities = logits.softmax(dim=1).movedim(1, -1)[mask != IGNORE]
    truth = torch.nn.functional.one_hot(mask[mask != IGNORE], 8)
    inside, sums = (probabilities * truth).sum(), probabilities.sum() + truth.sum()
    scores = OverlapScores(CLASS_NAMES)
    scores.update(logits, mask)
    assert scores.compute()["dice_micro_soft"].item() == pytest.approx((2 * inside / sums).item(), abs=1e-6)
    assert scores.compute()["iou_micro_soft"].item() == pytest.approx((inside / (sums - inside)).item(), abs=1e-6)


def test_batches_add_up_to_the_whole_set():
    logits, mask = logits_and_mask()
    whole, parts = OverlapScores(CLASS_NAMES), OverlapScores(CLASS_NAMES)
    whole.update(logits, mask)
    for start in range(4):
        parts.update(logits[start : start + 1], mask[start : start + 1])
    assert {k: v.item() for k, v in parts.compute().items()} == pytest.approx(
        {k: v.item() for k, v in whole.compute().items()}, abs=1e-6
    )


def test_names_are_fixed():
    scores = OverlapScores(CLASS_NAMES)
    scores.update(*logits_and_mask())
    names = set(scores.compute())
    assert {"accuracy", "dice_micro_soft", "iou_micro_soft", "dice_macro_8", "dice_macro_layers"} <= names
    assert {f"{kind}/{name}" for kind in ("dice", "iou", "accuracy") for name in CLASS_NAMES} <= names
    assert len(names) == 7 + 3 * 8


def test_means_leave_the_absent_class_out():
    scores = OverlapScores(("background", "a", "b"))
    logits = torch.tensor([[[[9.0, 0]], [[0, 9]], [[0, 0]]]])
    scores.update(logits, torch.tensor([[[0, 1]]]))
    values = scores.compute()
    assert values["dice/b"].isnan()
    assert values["dice_macro_3"] == 1
    assert values["dice_macro_layers"] == 1


def test_predicted_class_is_the_argmax_and_the_first_of_equals():
    logits = torch.randn(3, 8, 5, 7).round()  # rounded: with many ties
    assert torch.equal(predicted_classes(logits, logits.amax(dim=1)), logits.argmax(dim=1))


def test_half_precision_counts_millions_of_pixels():
    scores = OverlapScores(("background", "a"))
    logits = torch.zeros(1, 2, 512, 512, dtype=torch.float16)
    scores.update(logits, torch.zeros(1, 512, 512, dtype=torch.long))
    assert scores.compute()["dice_micro_soft"] == 0.5


def test_large_logits_do_not_overflow():
    scores = OverlapScores(("background", "a"))
    scores.update(torch.tensor([[[[1e4]], [[-1e4]]]]), torch.tensor([[[0]]]))
    assert scores.compute()["dice_micro_soft"] == 1


@pytest.mark.filterwarnings("ignore")  # MONAI's own deprecations
def test_agrees_with_monai_on_one_hot_masks():
    from monai.metrics import compute_dice, compute_iou

    truth, prediction = random_masks()
    one_hot = [torch.nn.functional.one_hot(mask.flatten(0, 1)[None], 5).movedim(-1, 1) for mask in (prediction, truth)]
    confusion = confusion_matrix(prediction, truth, 5)
    assert torch.allclose(dice(confusion), compute_dice(*one_hot)[0], atol=1e-6)
    assert torch.allclose(iou(confusion), compute_iou(*one_hot)[0], atol=1e-6)


def _score_half(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    logits, mask = logits_and_mask()
    part = slice(0, 1) if rank == 0 else slice(1, 4)
    scores = OverlapScores(CLASS_NAMES)
    scores.update(logits[part], mask[part])
    torch.save(scores.compute(), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_with_uneven_shares_give_the_scores_of_one(tmp_path):
    mp.start_processes(_score_half, (str(tmp_path),), nprocs=2, start_method="fork")
    scores = OverlapScores(CLASS_NAMES)
    scores.update(*logits_and_mask())
    for rank in range(2):
        theirs = torch.load(tmp_path / f"{rank}.pt")
        assert all(torch.allclose(value, theirs[name]) for name, value in scores.compute().items())
