"""Drives the PyPI package `statsig-python-core`: `python_core.py ADDRESS KEY`, then requests as in lines.py."""

import sys

from statsig_python_core import (
    DynamicConfigEvaluationOptions,
    ExperimentEvaluationOptions,
    FeatureGateEvaluationOptions,
    LayerEvaluationOptions,
    Statsig,
    StatsigOptions,
    StatsigUser,
)

import lines

# How the environment of a user is named here.
FIELDS = lines.FIELDS | {"statsigEnvironment": "statsig_environment"}


class Sdk:
    """The newer Python SDK, on the engine that it shares with the newer Node SDK."""

    def __init__(self, address, key):
        options = StatsigOptions(
            specs_url=f"{address}/v2/download_config_specs",
            log_event_url=f"{address}/v1/log_event",
            id_lists_url=f"{address}/v1/get_id_lists",
            enable_id_lists=True,
            specs_sync_interval_ms=1000,
            id_lists_sync_interval_ms=1000,
            wait_for_country_lookup_init=True,
            wait_for_user_agent_init=True,
            # It would write its log to standard output, where the answers go.
            output_log_level="none",
        )
        self.statsig = Statsig(key, options)

    def initialize(self):
        self.statsig.initialize().wait()
        details = self.statsig.get_initialize_details()
        return {"ready": details.is_config_spec_ready, "source": details.source}

    def user(self, user):
        return StatsigUser(**{FIELDS[field]: value for field, value in user.items()})

    def gate(self, user, name, exposures):
        options = FeatureGateEvaluationOptions(disable_exposure_logging=not exposures)
        gate = self.statsig.get_feature_gate(user, name, options)
        return {"value": gate.value, "rule_id": gate.rule_id}

    def config(self, user, name, exposures):
        options = DynamicConfigEvaluationOptions(disable_exposure_logging=not exposures)
        config = self.statsig.get_dynamic_config(user, name, options)
        return {"value": config.value, "rule_id": config.rule_id, "group": None}

    def experiment(self, user, name, exposures):
        options = ExperimentEvaluationOptions(disable_exposure_logging=not exposures)
        experiment = self.statsig.get_experiment(user, name, options)
        return {"value": experiment.value, "rule_id": experiment.rule_id, "group": experiment.group_name}

    def layer(self, user, name, parameters, exposures):
        options = LayerEvaluationOptions(disable_exposure_logging=not exposures)
        layer = self.statsig.get_layer(user, name, options)
        return {
            "value": {parameter: layer.get(parameter) for parameter in parameters},
            "rule_id": layer.rule_id,
            "group": layer.group_name,
            "allocated_experiment": layer.allocated_experiment_name,
        }

    def log(self, user, name, value, metadata):
        self.statsig.log_event(user, name, value, metadata)

    def flush(self):
        self.statsig.flush_events().wait()

    def shutdown(self):
        self.statsig.shutdown().wait()


lines.serve(Sdk(*sys.argv[1:]))
