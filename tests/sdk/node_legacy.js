// Drives the npm package `statsig-node`: `node_legacy.js ADDRESS KEY`, then requests as in lines.js.
"use strict";

const { StatsigServer } = require("statsig-node");
const { serve } = require("./lines");

/** The older Node SDK. */
class Sdk {
  constructor(address, key) {
    // The SDK takes no shorter intervals than these.
    this.statsig = new StatsigServer(key, {
      api: `${address}/v1`,
      rulesetsSyncIntervalMs: 5000,
      idListsSyncIntervalMs: 30000,
    });
  }

  async initialize() {
    const details = await this.statsig.initializeAsync();
    return { ready: details.success, source: details.source };
  }

  user(user) {
    return user;
  }

  gate(user, name, exposures) {
    const gate = this.statsig.getFeatureGate(user, name, { disableExposureLogging: !exposures });
    return { value: gate.value, rule_id: gate.ruleID };
  }

  config(user, name, exposures) {
    const config = this.statsig.getConfig(user, name, { disableExposureLogging: !exposures });
    return { value: config.value, rule_id: config.getRuleID(), group: config.getGroupName() };
  }

  experiment(user, name, exposures) {
    const experiment = this.statsig.getExperiment(user, name, { disableExposureLogging: !exposures });
    return { value: experiment.value, rule_id: experiment.getRuleID(), group: experiment.getGroupName() };
  }

  layer(user, name, parameters, exposures) {
    const layer = this.statsig.getLayer(user, name, { disableExposureLogging: !exposures });
    return {
      value: Object.fromEntries(parameters.map((parameter) => [parameter, layer.getValue(parameter)])),
      rule_id: layer.getRuleID(),
      group: layer.getGroupName(),
      allocated_experiment: layer.getAllocatedExperimentName(),
    };
  }

  log(user, name, value, metadata) {
    this.statsig.logEvent(user, name, value, metadata);
  }

  async flush() {
    await this.statsig.flush();
  }

  async shutdown() {
    await this.statsig.shutdownAsync();
  }
}

serve(new Sdk(...process.argv.slice(2)));
