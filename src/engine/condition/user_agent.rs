//! What a user agent says of the browser and the system.

use std::collections::HashMap;
use std::panic::catch_unwind;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use simple_useragent::{UserAgent, UserAgentParser};

use crate::domain::condition::UserAgentField;

/// Longer ones are not looked at, as in SDKs.
const MAX_CHARS: usize = 1_000;
/// Most user agents that are remembered.
const MAX_REMEMBERED: usize = 10_000;

/// Reading one tries hundreds of patterns, and the same ones come again and again.
static REMEMBERED: LazyLock<Mutex<HashMap<String, Arc<Option<UserAgent>>>>> = LazyLock::new(Mutex::default);

/// A name or version; none where the user agent does not say.
pub(super) fn read(user_agent: &str, field: UserAgentField) -> Option<String> {
    if user_agent.is_empty() || user_agent.chars().nth(MAX_CHARS).is_some() {
        return None;
    }
    let parsed = remembered(user_agent);
    let parsed = parsed.as_ref().as_ref()?;
    match field {
        UserAgentField::BrowserName => Some(parsed.client.family.clone()),
        UserAgentField::BrowserVersion => parsed.client.version.clone(),
        UserAgentField::OsName => Some(parsed.os.family.clone()),
        UserAgentField::OsVersion => parsed.os.version.clone(),
    }
}

fn remembered(user_agent: &str) -> Arc<Option<UserAgent>> {
    if let Some(parsed) = REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner).get(user_agent) {
        return Arc::clone(parsed);
    }
    // The library takes groups of its patterns for granted; what breaks it is a user agent that says nothing.
    let parsed = Arc::new(catch_unwind(|| UserAgentParser::new().parse(user_agent)).ok());
    let mut remembered = REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner);
    if remembered.len() >= MAX_REMEMBERED {
        remembered.clear();
    }
    remembered.insert(user_agent.to_owned(), Arc::clone(&parsed));
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_are_those_of_the_common_table() {
        let chrome = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) \
                      Chrome/114.0.5735.90 Safari/537.36";
        let said = |field| read(chrome, field).unwrap();
        assert_eq!(said(UserAgentField::BrowserName), "Chrome");
        assert_eq!(said(UserAgentField::BrowserVersion), "114.0.5735");
        assert_eq!(said(UserAgentField::OsName), "Mac OS X");
        assert_eq!(said(UserAgentField::OsVersion), "10.15.7");
    }

    #[test]
    fn what_is_no_user_agent_says_nothing() {
        assert_eq!(read("not a user agent", UserAgentField::BrowserVersion), None);
        assert_eq!(read("", UserAgentField::BrowserName), None);
        assert_eq!(read(&"Chrome/1.0 ".repeat(200), UserAgentField::BrowserName), None);
    }
}
