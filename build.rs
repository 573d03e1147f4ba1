//! Compiles `proto/` with a compiler written in Rust, so that no protoc is needed on the machine.

use std::path::PathBuf;

/// Every file of the API, by its path below `proto/`.
const FILES: [&str; 20] = [
    "portcullis/v1/admin.proto",
    "portcullis/v1/condition.proto",
    "portcullis/v1/config.proto",
    "portcullis/v1/configuration.proto",
    "portcullis/v1/evaluation.proto",
    "portcullis/v1/events.proto",
    "portcullis/v1/experiment.proto",
    "portcullis/v1/gate.proto",
    "portcullis/v1/guard.proto",
    "portcullis/v1/holdout.proto",
    "portcullis/v1/key.proto",
    "portcullis/v1/layer.proto",
    "portcullis/v1/measurement.proto",
    "portcullis/v1/metric.proto",
    "portcullis/v1/policy.proto",
    "portcullis/v1/ramp.proto",
    "portcullis/v1/scorecard.proto",
    "portcullis/v1/segment.proto",
    "portcullis/v1/undefined.proto",
    "portcullis/v1/webhook.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=migrations");
    let descriptors = protox::compile(FILES, ["proto"])?;
    #[expect(clippy::disallowed_methods, reason = "cargo tells a build script its folder this way")]
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure()
        .build_transport(true)
        .codec_path("crate::transport::grpc::codec::Codec")
        .btree_map(".portcullis.v1")
        .compile_fds(descriptors)?;
    Ok(())
}
