"""Drives the PyPI package `statsig`: `python_legacy.py ADDRESS KEY`, then requests as in lines.py."""

import sys

from statsig import LogLevel, StatsigEvent, StatsigOptions, StatsigUser, statsig

import lines

# How the environment of a user is named here.
FIELDS = lines.FIELDS | {"statsigEnvironment": "_statsig_environment"}


class Sdk:
    """The older Python SDK, which is one for the whole process."""

    def __init__(self, address, key):
        self.key = key
        self.options = StatsigOptions(
            api=f"{address}/v1",
            rulesets_sync_interval=1,
            idlists_sync_interval=1,
            timeout=5,
            # It would tell of every poll that the server does not answer.
            output_logger_level=LogLevel.ERROR,
        )

    def initialize(self):
        details = statsig.initialize(self.key, self.options)
        return {"ready": details.store_populated, "source": details.source}

    def user(self, user):
        return StatsigUser(**{FIELDS[field]: value for field, value in user.items()})

    def gate(self, user, name, exposures):
        gate = statsig.get_feature_gate(user, name, log_exposure=exposures)
        return {"value": gate.value, "rule_id": gate.rule_id}

    def config(self, user, name, exposures):
        ask = statsig.get_config if exposures else statsig.get_config_with_exposure_logging_disabled
        config = ask(user, name)
        return {"value": config.value, "rule_id": config.rule_id, "group": config.group_name}

    def experiment(self, user, name, exposures):
        ask = statsig.get_experiment if exposures else statsig.get_experiment_with_exposure_logging_disabled
        experiment = ask(user, name)
        return {"value": experiment.value, "rule_id": experiment.rule_id, "group": experiment.group_name}

    def layer(self, user, name, parameters, exposures):
        ask = statsig.get_layer if exposures else statsig.get_layer_with_exposure_logging_disabled
        layer = ask(user, name)
        return {
            "value": {parameter: layer.get(parameter) for parameter in parameters},
            "rule_id": layer.rule_id,
            "group": layer.group_name,
            "allocated_experiment": layer.allocated_experiment,
        }

    def log(self, user, name, value, metadata):
        statsig.log_event(StatsigEvent(user, name, value, metadata))

    def flush(self):
        statsig.flush()

    def shutdown(self):
        statsig.shutdown()


lines.serve(Sdk(*sys.argv[1:]))
