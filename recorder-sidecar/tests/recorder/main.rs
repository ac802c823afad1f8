//! capture, ship and finalize as processes, between a tape and a store, and what is in the bucket after everything that can go
//! wrong. The oracle is what was sent: every byte, and every packet in the final object.
//!
//! By default one row of each fault is run; with `RADIO_FULL=1` (`make e2e-full T=recorder`) each with every codec, and DJs send
//! at ten times real time.
//!
//! | file | what goes wrong |
//! | --- | --- |
//! | `plain` | nothing |
//! | `air` | rehearsals, DJs who come again and who hand over |
//! | `kills`, `finalize_kills`, `ingest_killed` | kill -9 |
//! | `two_pods` | a node that is cut off, and its pod goes on beside the one that replaced it |
//! | `store`, `spool`, `troubles` | the store, the spool's room, the ingest |
//! | `shows`, `objects` | what belongs to a Recording; the store's own promises |

#![cfg(test)]

mod air;
mod finalize_kills;
mod frames;
mod ingest_killed;
mod kills;
mod moments;
mod objects;
mod oracle;
mod plain;
mod shows;
mod sound;
mod spool;
mod stage;
mod store;
mod troubles;
mod two_pods;
#[path = "../stores/versity.rs"]
mod versity;
