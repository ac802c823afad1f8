//! A session's place in the spool, as capture fills it. IO: files.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ingest::api::Line;

use super::{About, Copied, INDEX, META, SYNCED, Synced, TAPE, boot_id, freed, read_json, replace};

/// The writing side of one session.
#[derive(Debug)]
pub struct Local {
    dir: PathBuf,
    about: About,
    tape: File,
    index: File,
    boot_id: String,
    ends: Mutex<Ends>,
    /// Held for the whole of a sync: an older mark must not come to stand after a newer one.
    syncing: Mutex<()>,
}

#[derive(Debug)]
struct Ends {
    tape: u64,
    index: u64,
    /// Where the ingest's index goes on.
    next: u64,
    tape_is_whole: bool,
    index_is_whole: bool,
    synced: Synced,
}

impl Local {
    /// Makes the place of a session, whole at once, with the bytes of `about.headers` in it.
    pub fn create(spool: &Path, about: &About, headers: &[u8]) -> io::Result<Self> {
        let dir = spool.join(&about.session.id);
        let beside = spool.join(format!(".new-{}", about.session.id));
        match fs::remove_dir_all(&beside) {
            Err(failure) if failure.kind() != io::ErrorKind::NotFound => return Err(failure),
            _ => fs::create_dir(&beside)?,
        }
        let tape = File::create(beside.join(TAPE))?;
        if let Some(range) = about.headers {
            tape.write_all_at(headers, range.from)?;
        }
        tape.set_len(about.start)?;
        tape.sync_all()?;
        File::create(beside.join(INDEX))?.sync_all()?;
        let synced = Synced {
            tape: about.start,
            boot_id: boot_id(),
            ..Synced::default()
        };
        replace(&beside, SYNCED, &synced)?;
        replace(&beside, META, about)?;
        File::open(beside.join(META))?.sync_all()?;
        File::open(&beside)?.sync_all()?;
        fs::rename(&beside, &dir)?;
        File::open(spool)?.sync_all()?;
        Self::resume(spool, &about.session.id)
    }

    /// Goes on where an earlier process stopped.
    pub fn resume(spool: &Path, session: &str) -> io::Result<Self> {
        let dir = spool.join(session);
        let about: About = read_json(&dir.join(META))?.ok_or(io::ErrorKind::NotFound)?;
        let open = |name| OpenOptions::new().read(true).write(true).open(dir.join(name));
        let (tape, index) = (open(TAPE)?, open(INDEX)?);
        let boot_id = boot_id();
        // A torn mark is one of a crash.
        let synced: Synced = read_json(&dir.join(SYNCED)).ok().flatten().unwrap_or_default();
        if synced.boot_id != boot_id || boot_id.is_empty() {
            let from = synced.tape.max(about.start);
            tracing::warn!(
                session,
                from,
                "the node has crashed since: what was not synced is read from the tape again"
            );
            tape.set_len(from)?;
            index.set_len(synced.index)?;
        }
        let (index_end, next) = last_line(&index)?;
        index.set_len(index_end)?;
        let ends = Ends {
            tape: tape.metadata()?.len(),
            index: index_end,
            next,
            tape_is_whole: synced.whole,
            index_is_whole: synced.whole,
            synced,
        };
        Ok(Self {
            dir,
            about,
            tape,
            index,
            boot_id,
            ends: Mutex::new(ends),
            syncing: Mutex::default(),
        })
    }

    /// What of the session is wanted.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Where the tape goes on.
    #[must_use]
    pub fn tape_end(&self) -> u64 {
        self.ends().tape
    }

    /// Where the ingest's index goes on.
    #[must_use]
    pub fn next_line(&self) -> u64 {
        self.ends().next
    }

    /// Nothing more will come.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let ends = self.ends();
        ends.tape_is_whole && ends.index_is_whole
    }

    /// Takes the tape's bytes from `at`; false if the tape goes on elsewhere by now. After a failure none of them count.
    pub fn append(&self, at: u64, bytes: &[u8]) -> io::Result<bool> {
        let mut ends = self.ends();
        if ends.tape != at {
            return Ok(false);
        }
        self.tape.write_all_at(bytes, at)?;
        ends.tape += bytes.len() as u64;
        Ok(true)
    }

    /// The tape does not have what is below `to`. The line first: a hole that nobody told of would be taken for audio.
    pub fn lost(&self, to: u64) -> io::Result<()> {
        let mut ends = self.ends();
        if to > ends.tape {
            let (at, next) = (ends.tape, ends.next);
            self.write_line(&mut ends, next, &Line::Lost { at, to })?;
            self.index.sync_data()?;
            self.tape.set_len(to)?;
            ends.tape = to;
        }
        Ok(())
    }

    /// The bucket has more than this spool: true if the tape goes on further ahead now.
    pub fn skip_what_is_freed(&self) -> io::Result<bool> {
        let freed = freed(&self.dir);
        let mut ends = self.ends();
        if freed <= ends.tape {
            return Ok(false);
        }
        self.tape.set_len(freed)?;
        ends.tape = freed;
        Ok(true)
    }

    /// Takes the index's next line; `next` is where the one behind it begins.
    pub fn line(&self, next: u64, line: &Line) -> io::Result<()> {
        let mut ends = self.ends();
        self.write_line(&mut ends, next, line)?;
        ends.next = next;
        Ok(())
    }

    /// Nothing more will come of the tape.
    pub fn tape_is_whole(&self) {
        self.ends().tape_is_whole = true;
    }

    /// Nothing more will come of the index.
    pub fn index_is_whole(&self) {
        self.ends().index_is_whole = true;
    }

    /// How much the source had sent at its end, if the index tells of it.
    pub fn end_told(&self) -> io::Result<Option<u64>> {
        let mut told = None;
        for text in BufReader::new(File::open(self.dir.join(INDEX))?).lines() {
            if let Ok(Copied {
                line: Line::End { at, .. },
                ..
            }) = serde_json::from_str(&text?)
            {
                told = Some(at);
            }
        }
        Ok(told)
    }

    /// Hashes of all lines, for an index that has to be read again from its beginning.
    pub fn known_lines(&self, state: &RandomState) -> io::Result<HashSet<u64>> {
        let mut known = HashSet::new();
        for text in BufReader::new(File::open(self.dir.join(INDEX))?).lines() {
            if let Ok(copied) = serde_json::from_str::<Copied>(&text?) {
                known.insert(hash(state, &copied.line));
            }
        }
        Ok(known)
    }

    /// Brings everything to the disk and says so. Blocks. True if there was anything new.
    pub fn sync(&self) -> io::Result<bool> {
        let _alone = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = {
            let ends = self.ends();
            Synced {
                tape: ends.tape,
                index: ends.index,
                whole: ends.tape_is_whole && ends.index_is_whole,
                boot_id: self.boot_id.clone(),
            }
        };
        if self.ends().synced == now {
            return Ok(false);
        }
        self.tape.sync_data()?;
        self.index.sync_data()?;
        replace(&self.dir, SYNCED, &now)?;
        self.ends().synced = now;
        Ok(true)
    }

    fn write_line(&self, ends: &mut Ends, next: u64, line: &Line) -> io::Result<()> {
        let copied = Copied {
            next,
            line: line.clone(),
        };
        let mut text = serde_json::to_vec(&copied)?;
        text.push(b'\n');
        self.index.write_all_at(&text, ends.index)?;
        ends.index += text.len() as u64;
        Ok(())
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For [`Local::known_lines`].
#[must_use]
pub fn hash(state: &RandomState, line: &Line) -> u64 {
    // Lines are compared as they are written: they have no hash of their own.
    state.hash_one(serde_json::to_vec(line).unwrap_or_default())
}

/// The end of the last whole line, and what it says comes next. Reads all of it: some MB after a day.
fn last_line(index: &File) -> io::Result<(u64, u64)> {
    let mut reader = BufReader::with_capacity(64 << 10, index);
    let (mut end, mut next) = (0, 0);
    let mut text = Vec::new();
    loop {
        text.clear();
        let read = reader.read_until(b'\n', &mut text)?;
        if text.last() != Some(&b'\n') {
            return Ok((end, next));
        }
        let Ok(copied) = serde_json::from_slice::<Copied>(&text) else {
            return Ok((end, next));
        };
        end += read as u64;
        next = copied.next;
    }
}
