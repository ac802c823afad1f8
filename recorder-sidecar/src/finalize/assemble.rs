//! Units into the files of final objects: one for each run of equal parameters. IO: files.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use ingest::api::Container;
use ingest::framing::Unit;
use sha2::{Digest as _, Sha256};

use super::chapters::{self, Chapter};
use super::ogg::{self, Weaver};
use super::parameters::Parameters;
use crate::store::hex;

const PIECE: usize = 256 << 10;

/// A file that is ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Where it is.
    pub path: PathBuf,
    /// What it is made of.
    pub parameters: Parameters,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of it, in hexadecimal.
    pub sha256: String,
    /// Packets or frames of audio.
    pub frames: u64,
    /// How long it plays.
    pub duration: Duration,
    /// Logical streams in it.
    pub links: u32,
    /// What was played.
    pub chapters: Vec<Chapter>,
}

/// Makes them. The same units make the same files, byte by byte, whoever makes them: so an upload can be gone on with.
#[derive(Debug)]
pub struct Assembler {
    folder: PathBuf,
    recording: String,
    seed: String,
    title: Option<String>,
    mark: Option<String>,
    open: Option<Open>,
    made: Vec<Made>,
}

#[derive(Debug)]
struct Open {
    parameters: Parameters,
    path: PathBuf,
    file: BufWriter<File>,
    form: Form,
    frames: u64,
    duration: Duration,
    chapters: Vec<Chapter>,
    /// The title of the last chapter that is not a mark.
    title: Option<String>,
    out: Vec<u8>,
}

#[derive(Debug)]
enum Form {
    Ogg(Weaver),
    Frames,
}

impl Assembler {
    /// In this folder; `recording` is the title of all, `seed` makes their streams' numbers.
    #[must_use]
    pub fn new(folder: PathBuf, recording: String, seed: String) -> Self {
        Self {
            folder,
            recording,
            seed,
            title: None,
            mark: None,
            open: None,
            made: Vec::new(),
        }
    }

    /// What follows is called so.
    pub fn title(&mut self, title: Option<String>) {
        self.title = title;
    }

    /// What follows is a chapter of its own, until another title comes.
    pub fn mark(&mut self, text: String) {
        self.mark = Some(text);
    }

    /// Takes the next unit, as it came in this container.
    pub fn take(&mut self, container: Container, unit: &Unit) -> io::Result<()> {
        let parameters = Parameters::of(container, unit);
        if self
            .open
            .as_ref()
            .is_none_or(|open| open.parameters != parameters)
        {
            self.close()?;
            self.open = Some(self.begin(parameters)?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        match self.mark.take() {
            // The title goes on below it.
            Some(text) => {
                open.title.clone_from(&self.title);
                open.chapter(text);
            }
            None => open.entitle(self.title.as_deref()),
        }
        open.take(unit)
    }

    /// The files, in order.
    pub fn finish(mut self) -> io::Result<Vec<Made>> {
        self.close()?;
        Ok(self.made)
    }

    fn begin(&self, parameters: Parameters) -> io::Result<Open> {
        let number = self.made.len() + 1;
        let path = self.folder.join(format!("{number}.body"));
        let form = match parameters.container {
            Container::Mp3 | Container::Adts => Form::Frames,
            Container::Ogg | Container::Webm => {
                let sum: [u8; 32] = Sha256::digest(format!("{}/{number}", self.seed)).into();
                Form::Ogg(Weaver::new(u32::from_be_bytes([sum[0], sum[1], sum[2], sum[3]])))
            }
        };
        Ok(Open {
            parameters,
            file: BufWriter::with_capacity(PIECE, File::create(&path)?),
            path,
            form,
            frames: 0,
            duration: Duration::ZERO,
            chapters: Vec::new(),
            title: None,
            out: Vec::new(),
        })
    }

    fn close(&mut self) -> io::Result<()> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        let links = open.finish()?;
        let front = match &open.form {
            Form::Ogg(weaver) => weaver.front(&chapters::comments(&self.recording, &open.chapters)),
            Form::Frames if open.parameters.container == Container::Mp3 => {
                chapters::id3(&self.recording, &open.chapters, open.duration)
            }
            Form::Frames => Vec::new(),
        };
        let path = open.path.with_extension("object");
        let mut summed = Summed {
            file: File::create(&path)?,
            size: 0,
            sum: Sha256::new(),
        };
        summed.write(&front)?;
        let mut body = File::open(&open.path)?;
        let mut piece = vec![0; PIECE];
        loop {
            match body.read(&mut piece)? {
                0 => break,
                length => summed.write(&piece[..length])?,
            }
        }
        fs::remove_file(&open.path)?;
        self.made.push(Made {
            path,
            parameters: open.parameters,
            size: summed.size,
            sha256: hex(&summed.sum.finalize()),
            frames: open.frames,
            duration: open.duration,
            links,
            chapters: open.chapters,
        });
        Ok(())
    }
}

impl Open {
    fn entitle(&mut self, title: Option<&str>) {
        if let Some(title) = title
            && self.title.as_deref() != Some(title)
        {
            self.title = Some(title.to_owned());
            self.chapter(title.to_owned());
        }
    }

    fn chapter(&mut self, title: String) {
        self.chapters.push(Chapter {
            at: self.duration,
            title,
        });
    }

    fn take(&mut self, unit: &Unit) -> io::Result<()> {
        match &mut self.form {
            Form::Ogg(weaver) => {
                weaver.take(unit, &mut self.out);
                self.duration = weaver.duration();
                self.frames += ogg::packets_in(unit);
                self.file.write_all(&self.out)?;
                self.out.clear();
                Ok(())
            }
            Form::Frames => {
                self.frames += 1;
                self.duration += unit.duration;
                self.file.write_all(&unit.bytes)
            }
        }
    }

    fn finish(&mut self) -> io::Result<u32> {
        let mut links = 1;
        if let Form::Ogg(weaver) = &mut self.form {
            weaver.finish(&mut self.out);
            self.file.write_all(&self.out)?;
            self.duration = weaver.duration();
            links = weaver.links();
        }
        self.file.flush()?;
        Ok(links)
    }
}

struct Summed {
    file: File,
    size: u64,
    sum: Sha256,
}

impl Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}
