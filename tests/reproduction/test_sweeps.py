"""Tables of sweeps, read or refused."""

import json

import pytest

from retseg.errors import InputError
from retseg.reproduction.sweeps import ABLATION_COLUMNS, read_ablation, read_leakage


def write(folder, name, *lines):
    (folder / name).write_text("\n".join(lines) + "\n")


def test_reads_numbers_and_where_they_come_from(tmp_path):
    write(
        tmp_path,
        "ablation.csv",
        ",".join(ABLATION_COLUMNS),
        "baseline,2,10,0.9,0.89,0.91,,,,",
        "ce,2,10,0.88,0.87,0.89,-0.02,-0.03,-0.01,0.004",
    )
    for job in ("job0", "job1"):
        (tmp_path / job).mkdir()
        data = {"name": "Duke DME", "label_origin": "silver"}
        (tmp_path / job / "metrics.json").write_text(json.dumps({"data": data}))
    sweep = read_ablation(tmp_path)
    assert sweep.number("ce", "difference_low") == -0.03
    assert sweep.number("baseline", "difference") is None
    assert sweep.number("no such", "difference") is None
    assert sweep.origin == "Duke DME, silver labels"
    assert sweep.on_duke
    assert not sweep.manual


def test_a_sweep_without_jobs_beside_it_names_no_data(tmp_path):
    write(
        tmp_path,
        "leakage.csv",
        "score,random_split,subjects_apart,difference,low,high,num_subjects",
        "dice,1,.9,.1,0,.2,9",
    )
    sweep = read_leakage(tmp_path)
    assert sweep.number("dice", "num_subjects") == 9
    assert not sweep.on_duke


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), r"ablation\.csv: no such file"),
        (("ablation,seeds",), "no column subjects, dice_layers"),
        ((",".join(ABLATION_COLUMNS), "ce,2,10,much,,,,,,"), "'much' is not a number"),
    ],
)
def test_refuses_what_is_no_such_table(tmp_path, lines, message):
    if lines:
        write(tmp_path, "ablation.csv", *lines)
    with pytest.raises(InputError, match=message):
        read_ablation(tmp_path)
