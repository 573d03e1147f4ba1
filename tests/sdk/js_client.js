// Drives the npm package `@statsig/js-client`: `js_client.js ADDRESS KEY`, then requests as in lines.js.
"use strict";

const { setTimeout: sleep } = require("node:timers/promises");
const { LogLevel, StatsigClient } = require("@statsig/js-client");
const { serve } = require("./lines");

// The SDK refuses to ask more than 50 times a second.
const PAUSE_MS = 25;

/** The client SDK: the server evaluates one user at a time for it. */
class Sdk {
  constructor(address, key) {
    this.key = key;
    // Outside of a browser it logs only when it is told to.
    this.options = {
      networkConfig: { api: `${address}/v1` },
      loggingEnabled: "always",
      logEventCompressionMode: "f",
      disableStorage: true,
      // It would warn of every user who lacks an id.
      logLevel: LogLevel.Error,
    };
    this.client = new StatsigClient(this.key, {}, this.options);
  }

  async initialize() {
    const details = await this.client.initializeAsync();
    return { ready: details.success, source: details.source };
  }

  async user(user) {
    await sleep(PAUSE_MS);
    const details = await this.client.updateUserAsync(user);
    if (!details.success) {
      throw new Error(`no answer about the user: ${details.error}`);
    }
    return user;
  }

  gate(user, name, exposures) {
    const gate = this.client.getFeatureGate(name, { disableExposureLog: !exposures });
    return { value: gate.value, rule_id: gate.ruleID };
  }

  config(user, name, exposures) {
    const config = this.client.getDynamicConfig(name, { disableExposureLog: !exposures });
    return { value: config.value, rule_id: config.ruleID, group: null };
  }

  experiment(user, name, exposures) {
    const experiment = this.client.getExperiment(name, { disableExposureLog: !exposures });
    return { value: experiment.value, rule_id: experiment.ruleID, group: experiment.groupName };
  }

  layer(user, name, parameters, exposures) {
    const layer = this.client.getLayer(name, { disableExposureLog: !exposures });
    return {
      value: Object.fromEntries(parameters.map((parameter) => [parameter, layer.get(parameter)])),
      rule_id: layer.ruleID,
      group: layer.groupName,
    };
  }

  log(user, name, value, metadata) {
    this.client.logEvent({ eventName: name, value, metadata });
  }

  async flush() {
    await this.client.flush();
  }

  async shutdown() {
    await this.client.shutdown();
  }
}

serve(new Sdk(...process.argv.slice(2)));
