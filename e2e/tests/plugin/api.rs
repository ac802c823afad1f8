//! As much of an API server as a plugin asks for: objects by their paths, in memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Objects by the paths they are asked for at, and how often anything was written.
#[derive(Clone, Default)]
pub struct Api(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    objects: BTreeMap<String, Value>,
    writes: usize,
}

impl Api {
    /// Serves until the test ends.
    pub async fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = axum::Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        address
    }

    pub fn put(&self, path: &str, object: Value) {
        self.with(|kept| kept.objects.insert(path.to_owned(), object));
    }

    pub fn get(&self, path: &str) -> Option<Value> {
        self.with(|kept| kept.objects.get(path).cloned())
    }

    /// As if the cluster were lost; Secrets and Stations come back from Git.
    pub fn forget_below(&self, folder: &str) {
        self.with(|kept| kept.objects.retain(|path, _| !path.starts_with(folder)));
    }

    pub fn writes(&self) -> usize {
        self.with(|kept| kept.writes)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn answer(State(api): State<Api>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body: Bytes = to_bytes(body, 1 << 20).await.unwrap();
    let sent = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let path = head.uri.path();
    let told = api.with(|kept| kept.answer(&head.method, path, sent));
    match told {
        Ok(object) => Json(object).into_response(),
        Err(code) => (code, Json(refusal(code))).into_response(),
    }
}

fn refusal(code: StatusCode) -> Value {
    let reason = match code {
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::CONFLICT => "AlreadyExists",
        _ => "BadRequest",
    };
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": reason, "code": code.as_u16()})
}

impl Kept {
    fn answer(&mut self, method: &Method, path: &str, sent: Value) -> Result<Value, StatusCode> {
        if *method == Method::GET {
            return self.read(path);
        }
        self.writes += 1;
        match (method.as_str(), path.strip_suffix("/status")) {
            ("POST", _) => {
                let name = sent["metadata"]["name"].as_str().ok_or(StatusCode::BAD_REQUEST)?;
                let place = format!("{path}/{name}");
                if self.objects.contains_key(&place) {
                    return Err(StatusCode::CONFLICT);
                }
                let mut made = sent;
                made["metadata"]["uid"] = format!("uid-{}", self.writes).into();
                made["metadata"]["resourceVersion"] = "1".into();
                // As the real one: a status is only written as one.
                made.as_object_mut().unwrap().remove("status");
                self.objects.insert(place, made.clone());
                Ok(made)
            }
            ("PATCH", Some(place)) => {
                let object = self.objects.get_mut(place).ok_or(StatusCode::NOT_FOUND)?;
                assert_eq!(sent["metadata"]["uid"], object["metadata"]["uid"]);
                object["status"] = sent["status"].clone();
                Ok(object.clone())
            }
            _ => Err(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    fn read(&self, path: &str) -> Result<Value, StatusCode> {
        if let Some(object) = self.objects.get(path) {
            return Ok(object.clone());
        }
        let Some(kind) = path.strip_suffix("/recordings") else {
            return Err(StatusCode::NOT_FOUND);
        };
        let below = format!("{kind}/recordings/");
        let found = self.objects.iter().filter(|(place, _)| place.starts_with(&below));
        let items: Vec<&Value> = found.map(|(_, object)| object).collect();
        Ok(json!({
            "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "RecordingList", "metadata": {"resourceVersion": "1"},
            "items": items,
        }))
    }
}
