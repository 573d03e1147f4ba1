//! The country of a network address.

use core::net::Ipv4Addr;

/// ISO 3166 country of an IPv4 address; none for one that is not public, and for IPv6, as in SDKs.
///
/// The registries' delegations are taken for the location. One that is not is known: 1.1.1.0/24 and 1.0.0.0/24 are on
/// loan from Australia's registry for research, and are announced by a company of the United States, which is where SDKs
/// place them.
pub(super) fn of(address: &str) -> Option<&'static str> {
    let address: Ipv4Addr = address.parse().ok()?;
    match address.octets() {
        [1, 0, 0, _] | [1, 1, 1, _] => Some("US"),
        _ => iptocc::country_code(address),
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn public_addresses_have_the_country_of_their_delegation() {
        assert_eq!(of("8.8.8.8"), Some("US"));
        assert_eq!(of("217.92.0.1"), Some("DE"));
        assert_eq!(of("133.11.0.1"), Some("JP"));
        assert_eq!(of("1.1.1.1"), Some("US"));
        assert_eq!(of("1.0.0.1"), Some("US"));
    }

    #[test]
    fn others_have_none() {
        for address in ["10.0.0.1", "127.0.0.1", "2001:4860:4860::8888", "", "abc", "300.1.1.1", "8.8.8"] {
            assert_eq!(of(address), None, "{address}");
        }
    }
}
