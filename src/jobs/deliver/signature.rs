//! The signature of a notice, as the Standard Webhooks specification 1.0 has it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The value of `webhook-signature`: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; `timestamp` in whole seconds
/// since 1970 UTC.
#[must_use]
pub fn sign(secret: &[u8], id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Some(format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python's `hmac` and `base64` from the same parts.
    #[test]
    fn it_is_that_of_another_implementation() {
        let secret: Vec<u8> = (0..32).collect();
        let signature = sign(&secret, "msg_1", 1_772_452_800, b"{\"kind\":\"hold\"}");
        assert_eq!(signature.as_deref(), Some("v1,GLMD5Hdy5Ky1g2h2S6v/N4QpxBvE5QaFCowyiUgESI4="));
    }
}
