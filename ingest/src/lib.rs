//! What other rooms use of the ingest: finding whole units in a stream of encoded audio, and sending one to Icecast.

pub mod framing;
pub mod source_client;
