//! Lets people work here: users who log in, and come and go.

use serde_json::{Value, json};

use super::Shop;

const PASSWORD: &str = "tarp lemon quilt 7";

impl Shop {
    /// Adds a user, with whatever else is said of them, and logs them in: the token of the session.
    pub fn user(&self, name: &str, role: &str, more: &Value) -> String {
        let mut wanted = json!({ "name": name, "role": role, "password": PASSWORD });
        for (key, value) in more.as_object().unwrap() {
            wanted[key] = value.clone();
        }
        let added = self.api("POST", "/users", Some(&wanted));
        assert_eq!(added.status, 201, "{}", added.text());
        self.log_in(name)
    }

    pub fn log_in(&self, name: &str) -> String {
        let login = json!({ "name": name, "password": PASSWORD });
        let session = self.call("none", "POST", "/sessions", Some(&login));
        assert_eq!(session.status, 201, "{}", session.text());
        session.json()["token"].as_str().unwrap().to_owned()
    }

    /// An agent who is there.
    pub fn agent_on_duty(&self, name: &str) -> String {
        let token = self.user(name, "agent", &json!({}));
        self.duty(&token, true);
        token
    }

    /// Somebody comes or goes.
    pub fn duty(&self, token: &str, on: bool) {
        let answer = self.call(token, "POST", "/duty", Some(&json!({ "on": on })));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Somebody may not work here any more.
    pub fn disable(&self, name: &str) {
        let answer = self.api("DELETE", &format!("/users/{name}"), None);
        assert!((200..300).contains(&answer.status), "{}", answer.text());
    }
}
