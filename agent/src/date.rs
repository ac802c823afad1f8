//! What time the API server has. IO: API reads.

use http::Request;
use http::header::DATE;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;

/// The API server, asked for nothing but its `Date`.
#[derive(Clone)]
pub struct Dates(Client);

impl std::fmt::Debug for Dates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dates").finish_non_exhaustive()
    }
}

impl Dates {
    /// Of this API server.
    #[must_use]
    pub fn of(client: Client) -> Self {
        Self(client)
    }

    /// As its answer has it, whatever else that says: who may not ask for the version is told the time, too.
    pub async fn ask(&self) -> Result<String, String> {
        let request = Request::get("/version").body(Body::empty());
        let request = request.map_err(|failure| failure.to_string())?;
        let answer = self
            .0
            .send(request)
            .await
            .map_err(|failure| failure.to_string())?;
        let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
        let date = date.map(ToOwned::to_owned);
        // So that the connection can be used again.
        answer
            .into_body()
            .collect()
            .await
            .map_err(|failure| failure.to_string())?;
        date.ok_or_else(|| "its answer has no date".to_owned())
    }
}
