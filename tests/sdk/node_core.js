// Drives the npm package `@statsig/statsig-node-core`: `node_core.js ADDRESS KEY`, then requests as in lines.js.
"use strict";

const { Statsig, StatsigUser } = require("@statsig/statsig-node-core");
const { serve } = require("./lines");

/** The newer Node SDK, on the engine that it shares with the newer Python SDK. */
class Sdk {
  constructor(address, key) {
    this.statsig = new Statsig(key, {
      specsUrl: `${address}/v2/download_config_specs`,
      logEventUrl: `${address}/v1/log_event`,
      idListsUrl: `${address}/v1/get_id_lists`,
      enableIdLists: true,
      specsSyncIntervalMs: 1000,
      idListsSyncIntervalMs: 1000,
      waitForCountryLookupInit: true,
      waitForUserAgentInit: true,
      // It would write its log to standard output, where the answers go.
      outputLogLevel: "none",
    });
  }

  async initialize() {
    const result = await this.statsig.initialize();
    return { ready: result.isSuccess, error_of_sdk: result.error };
  }

  user(user) {
    return new StatsigUser(user);
  }

  gate(user, name, exposures) {
    const gate = this.statsig.getFeatureGate(user, name, { disableExposureLogging: !exposures });
    return { value: gate.value, rule_id: gate.ruleID };
  }

  config(user, name, exposures) {
    const config = this.statsig.getDynamicConfig(user, name, { disableExposureLogging: !exposures });
    return { value: config.value, rule_id: config.ruleID, group: null };
  }

  experiment(user, name, exposures) {
    const experiment = this.statsig.getExperiment(user, name, { disableExposureLogging: !exposures });
    return { value: experiment.value, rule_id: experiment.ruleID, group: experiment.groupName };
  }

  layer(user, name, parameters, exposures) {
    const layer = this.statsig.getLayer(user, name, { disableExposureLogging: !exposures });
    return {
      value: Object.fromEntries(parameters.map((parameter) => [parameter, layer.getValue(parameter)])),
      rule_id: layer.ruleID,
      group: layer.groupName,
      allocated_experiment: layer.allocatedExperimentName,
    };
  }

  log(user, name, value, metadata) {
    this.statsig.logEvent(user, name, value, metadata);
  }

  async flush() {
    await this.statsig.flushEvents();
  }

  async shutdown() {
    await this.statsig.shutdown();
  }
}

serve(new Sdk(...process.argv.slice(2)));
