"""docs/migration.md says what every public name of the toolbox's and of its successor's container API does here."""

from __future__ import annotations

import os
import pkgutil
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from innereye_runtime import LightningContainer
from innereye_runtime.compat.refused import instead_of, refused
from innereye_runtime.compat.surface import MODULES, table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "migration.md"
BEGIN, END = "<!-- tables: begin -->\n", "<!-- tables: end -->\n"

KNOWN = [
    "random_seed",
    "number_of_cross_validation_splits",
    "cross_validation_split_index",
    "inference_on_train_set",
    "inference_on_val_set",
    "inference_on_test_set",
    "ensemble_inference_on_train_set",
    "ensemble_inference_on_val_set",
    "ensemble_inference_on_test_set",
    "weights_url",
    "local_weights_path",
    "model_id",
    "generate_report",
    "pretraining_run_recovery_id",
    "multiprocessing_start_method",
    "monitoring_interval_seconds",
    "regression_test_folder",
    "regression_test_csv_tolerance",
    "azure_dataset_id",
    "local_dataset",
    "extra_azure_dataset_ids",
    "extra_local_dataset_paths",
    "dataset_mountpoint",
    "extra_dataset_mountpoints",
    "output_to",
    "model_name",
    "outputs_folder",
    "logs_folder",
    "checkpoint_folder",
    "visualization_folder",
    "l_rate",
    "l_rate_scheduler",
    "l_rate_exponential_gamma",
    "l_rate_step_gamma",
    "l_rate_step_step_size",
    "l_rate_multi_step_gamma",
    "l_rate_multi_step_milestones",
    "l_rate_polynomial_gamma",
    "l_rate_warmup",
    "l_rate_warmup_epochs",
    "optimizer_type",
    "opt_eps",
    "rms_alpha",
    "adam_betas",
    "momentum",
    "weight_decay",
    "num_epochs",
    "autosave_every_n_val_epochs",
    "detect_anomaly",
    "use_mixed_precision",
    "max_num_gpus",
    "pl_progress_bar_refresh_rate",
    "pl_num_sanity_val_steps",
    "pl_deterministic",
    "pl_find_unused_parameters",
    "pl_limit_train_batches",
    "pl_limit_val_batches",
    "pl_profiler",
    "pl_check_val_every_n_epoch",
    "monitor_gpu",
    "monitor_loading",
    "max_epochs",
    "pl_limit_test_batches",
    "pl_fast_dev_run",
    "pl_accumulate_grad_batches",
    "pl_log_every_n_steps",
    "pl_sync_batchnorm",
    "setup",
    "create_model",
    "get_data_module",
    "before_training_on_global_rank_zero",
    "before_training_on_local_rank_zero",
    "before_training_on_all_ranks",
    "get_trainer_arguments",
    "get_callbacks",
    "get_inference_data_module",
    "create_report",
    "update_azure_config",
    "get_parameter_search_hyperdrive_config",
    "model",
    "on_inference_start",
    "on_inference_epoch_start",
    "inference_step",
    "on_inference_epoch_end",
    "on_inference_end",
    "aggregate_ensemble_model_outputs",
    "get_eval_data_module",
    "get_checkpoint_to_test",
    "set_model_variant",
    "get_parameter_tuning_args",
    "get_additional_aml_run_tags",
    "get_additional_environment_variables",
    "azure_datasets",
    "local_datasets",
    "crossval_count",
    "crossval_index",
    "src_checkpoint",
    "run_inference_only",
    "resume_training",
    "run_extra_val_epoch",
    "different_seeds",
    "pl_replace_sampler_ddp",
    "pl_static_graph",
    "max_num_gpus_inference",
    "monitor_training",
    "tag",
    "experiment",
    "datastore",
    "regression_metrics",
    "num_gpus_per_node",
    "has_custom_test_step",
    "effective_experiment_name",
    "load_model_checkpoint",
    "update_experiment_config",
    "num_nodes",
    "use_gpu",
    "pretraining_run_checkpoints",
    "get_path_to_checkpoint",
    "get_path_to_best_checkpoint",
    "is_offline_run",
    "set_output_to",
    "min_l_rate",
    "apply_overrides",
    "get_overridable_parameters",
    "validate",
]


@pytest.fixture(scope="module")
def rows() -> dict[str, str]:
    """The state of each name in the page."""
    lines = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    return {cells[0].removeprefix("| ").strip("`"): cells[1] for cells in lines}


def test_the_page_has_the_tables_of_the_code() -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page = f"{before}{BEGIN}\n{table()}\n{END}{after}"
    if os.environ.get("GOLDEN") == "write":
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "GOLDEN=write writes the tables anew"


def test_every_known_name_is_told(rows: dict[str, str]) -> None:
    assert [name for name in KNOWN if name not in rows] == []


def test_what_is_not_here_is_not_here(rows: dict[str, str]) -> None:
    told = [line.split(" | ") for line in PAGE.read_text().partition("that are not here")[2].splitlines()[4:]]
    names = [cells[0].removeprefix("| ").strip("`") for cells in told[: told.index([""])]]
    assert "hyperdrive" in names and [name for name in names if hasattr(LightningContainer, name)] == []


def test_every_module_of_the_old_paths_is_told() -> None:
    found = set()
    for root in ("InnerEye", "health_ml", "health_azure"):
        package = import_module(root)
        own = [str(Path(str(package.__file__)).parent)]
        for each in pkgutil.walk_packages(own, f"{root}."):
            if not each.ispkg and not each.name.endswith(".runner"):
                found.add(each.name)
    assert found - set(MODULES) == set()


def test_what_is_refused_is_not_here_and_has_a_remedy(rows: dict[str, str]) -> None:
    for module in refused():
        assert rows[module] == "refused" and instead_of(f"{module}.anything")
        top = module.partition(".")[0]
        if module not in ("InnerEye", "InnerEye.Azure", "health_ml", "health_azure") and find_spec(top):
            with pytest.raises(ModuleNotFoundError):
                import_module(f"{module}.anything")
            parent = module.rpartition(".")[0]
            if not parent or instead_of(parent):
                with pytest.raises(ModuleNotFoundError):
                    import_module(module)
