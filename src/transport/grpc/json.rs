//! Messages as JSON, by the mapping of Protocol Buffers: names as in `proto/`, enums by name, numbers as numbers.

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

use super::{records, wire};
use crate::admin::Recorded;
use crate::error::{Error, Result};

/// The package of our messages.
const PACKAGE: &str = "portcullis.v1";

/// Writes messages as JSON.
#[derive(Clone, Debug)]
pub struct Json {
    descriptors: DescriptorPool,
}

impl Json {
    /// Reads the descriptors.
    pub fn new() -> Result<Self> {
        let descriptors = DescriptorPool::decode(wire::DESCRIPTORS).map_err(Error::internal)?;
        Ok(Self { descriptors })
    }

    /// The JSON of a message; `name` is its name in `proto/`.
    pub fn of(&self, name: &str, message: &impl Message) -> Result<serde_json::Value> {
        let full = format!("{PACKAGE}.{name}");
        let descriptor = self.descriptors.get_message_by_name(&full);
        let descriptor = descriptor.ok_or_else(|| Error::internal(format!("there is no message {full}")))?;
        let bytes = message.encode_to_vec();
        let dynamic = DynamicMessage::decode(descriptor, bytes.as_slice()).map_err(Error::internal)?;
        let options = SerializeOptions::new()
            .stringify_64_bit_integers(false)
            .use_proto_field_name(true)
            .skip_default_fields(false);
        dynamic.serialize_with_options(serde_json::value::Serializer, &options).map_err(Error::internal)
    }
}

/// How a decision is written in a notice: as the `Decision` that watchers get.
pub fn decision_form() -> Result<impl Fn(&Recorded) -> Result<String> + Send + Sync + 'static> {
    let json = Json::new()?;
    Ok(move |recorded: &Recorded| Ok(json.of("Decision", &records::decision(recorded))?.to_string()))
}
