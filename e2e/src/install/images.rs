//! Container images: a Debian base made with debootstrap, and the rooms' own Dockerfiles. Does IO.
//!
//! An image is named by the hash of everything that goes into it, so an unchanged room is neither built nor
//! loaded again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::cache::{self, Fingerprint};
use super::command;
use crate::steps::Progress;

/// The image every Dockerfile here begins with.
pub const BASE: &str = "docker.io/library/debian:trixie-slim";

/// What the base is made of; another text makes another base.
const RECIPE: &str = "1";
const SUITE: &str = "trixie";
const MIRROR: &str = "http://deb.debian.org/debian";

/// What real `-slim` images leave out too.
const LEFT_OUT: [&str; 5] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "var/cache/apt/archives",
];

/// What is in a room, but in no image.
const NOT_IN_IMAGES: [&str; 7] = ["Cargo.toml", "README.md", "bin", "fuzz", "src", "target", "tests"];

/// An image that is ready to be loaded into a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its full name, with the content's hash as its tag.
    pub name: String,
    /// The archive that holds it.
    pub archive: PathBuf,
}

/// Builds images and keeps them and their layers in the cache.
pub struct Workshop {
    folder: PathBuf,
}

impl Workshop {
    /// The workshop in the cache.
    pub fn open() -> Result<Self> {
        let folder = cache::folder()?.join("images");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // Nothing is pulled from anywhere, so there is nothing to verify; without a policy buildah refuses to work.
        cache::write(
            &folder.join("policy.json"),
            r#"{"default":[{"type":"insecureAcceptAnything"}]}"#,
        )?;
        Ok(Self { folder })
    }

    /// Debian, as the Dockerfiles name it.
    pub async fn base(&self, progress: &Progress) -> Result<Image> {
        let hash = Fingerprint::default()
            .add(RECIPE.as_bytes())
            .add(SUITE.as_bytes())
            .add(MIRROR.as_bytes())
            .finish();
        let image = Image {
            name: BASE.into(),
            archive: self.archive("debian", &hash),
        };
        if image.archive.exists() {
            return Ok(image);
        }
        let root = cache::fresh_partial(&self.folder.join("debian"))?;
        progress.say("debootstrap");
        let mut debootstrap = Command::new("debootstrap");
        debootstrap
            .args(["--variant=minbase", SUITE])
            .arg(&root)
            .arg(MIRROR);
        command::run(&mut debootstrap, progress).await?;
        for folder in LEFT_OUT {
            cache::remove(&root.join(folder))?;
            fs::create_dir_all(root.join(folder))?;
        }
        // Snapshots of the archive are past their date by design.
        fs::write(
            root.join("etc/apt/apt.conf.d/99radio"),
            "Acquire::Check-Valid-Until \"false\";\n",
        )?;
        let dockerfile = self.folder.join("debian.Dockerfile");
        cache::write(&dockerfile, "FROM scratch\nCOPY . /\nCMD [\"bash\"]\n")?;
        self.bud(&dockerfile, &root, BASE, progress).await?;
        self.push(&image, progress).await?;
        cache::remove(&root)?;
        Ok(image)
    }

    /// Builds the Dockerfile in `room`, with the given programs in its `bin/`.
    pub async fn build(
        &self,
        name: &str,
        room: &Path,
        programs: &[&Path],
        progress: &Progress,
    ) -> Result<Image> {
        if !room.join("Dockerfile").exists() {
            bail!("the image {name} has no {}", room.join("Dockerfile").display());
        }
        let context = self.context(name, room, programs)?;
        let hash = Fingerprint::default()
            .add_path(&context)?
            .add(RECIPE.as_bytes())
            .add(SUITE.as_bytes())
            .finish();
        let image = Image {
            name: format!("localhost/radio/{name}:{hash}"),
            archive: self.archive(name, &hash),
        };
        if !image.archive.exists() {
            progress.say(format!("building {name}"));
            self.bud(&context.join("Dockerfile"), &context, &image.name, progress)
                .await
                .with_context(|| format!("cannot build {}", room.join("Dockerfile").display()))?;
            self.push(&image, progress).await?;
            self.forget_others(name, &image).await?;
        }
        Ok(image)
    }

    /// Pushes an image that was built here to a registry, under another name.
    pub async fn publish(&self, image: &Image, target: &str, progress: &Progress) -> Result<()> {
        let mut push = self.buildah("push");
        push.arg(&image.name).arg(format!("docker://{target}"));
        command::run(&mut push, progress)
            .await
            .with_context(|| format!("cannot push {target}"))
    }

    /// A copy of the room without what no image needs, plus `bin/`.
    fn context(&self, name: &str, room: &Path, programs: &[&Path]) -> Result<PathBuf> {
        let context = self.folder.join("contexts").join(name);
        cache::remove(&context)?;
        copy(room, &context, &NOT_IN_IMAGES)?;
        let bin = context.join("bin");
        fs::create_dir_all(&bin)?;
        for program in programs {
            let file = program
                .file_name()
                .with_context(|| format!("{} is no file", program.display()))?;
            let stripped = std::process::Command::new("strip")
                .arg("-o")
                .arg(bin.join(file))
                .arg(program)
                .output();
            if !stripped.is_ok_and(|stripped| stripped.status.success()) {
                fs::copy(program, bin.join(file))
                    .with_context(|| format!("cannot copy {}", program.display()))?;
            }
        }
        Ok(context)
    }

    async fn bud(&self, dockerfile: &Path, context: &Path, name: &str, progress: &Progress) -> Result<()> {
        let mut bud = self.buildah("bud");
        bud.args([
            "--isolation",
            "chroot",
            "--network",
            "host",
            "--layers",
            "--pull-never",
            "--timestamp",
            "0",
        ]);
        bud.arg("--tag")
            .arg(name)
            .arg("--file")
            .arg(dockerfile)
            .arg(context);
        command::run(&mut bud, progress).await
    }

    async fn push(&self, image: &Image, progress: &Progress) -> Result<()> {
        let partial = cache::fresh_partial(&image.archive)?;
        let mut push = self.buildah("push");
        // This format names each layer by its hash, so a node skips those that it has.
        push.args([
            "--compression-format",
            "zstd",
            "--compression-level",
            "1",
            &image.name,
        ]);
        push.arg(format!("oci-archive:{}:{}", partial.display(), image.name));
        command::run(&mut push, progress).await?;
        fs::rename(&partial, &image.archive)
            .with_context(|| format!("cannot make {}", image.archive.display()))
    }

    fn buildah(&self, verb: &str) -> Command {
        let mut buildah = Command::new("buildah");
        buildah
            .arg("--root")
            .arg(self.folder.join("storage"))
            .arg("--runroot")
            .arg("/run/radio-images");
        buildah.args(["--storage-driver", "overlay", verb]);
        if matches!(verb, "bud" | "push") {
            buildah
                .arg("--signature-policy")
                .arg(self.folder.join("policy.json"));
        }
        buildah
    }

    fn archive(&self, name: &str, hash: &str) -> PathBuf {
        self.folder.join(format!("{name}-{hash}.tar"))
    }

    /// Archives and images of the same room that nothing will ask for again; their layers stay while in use.
    async fn forget_others(&self, name: &str, kept: &Image) -> Result<()> {
        for entry in fs::read_dir(&self.folder)?.flatten() {
            let path = entry.path();
            let is_archive = path.extension().is_some_and(|extension| extension == "tar");
            let is_of_room = entry
                .file_name()
                .to_string_lossy()
                .starts_with(&format!("{name}-"));
            if is_archive && is_of_room && path != kept.archive {
                cache::remove(&path)?;
            }
        }
        let mut list = self.buildah("images");
        let images = command::output(list.args(["--format", "{{.Name}}:{{.Tag}}"])).await?;
        for old in images.lines().filter(|line| is_other_version(line, &kept.name)) {
            command::output(self.buildah("rmi").arg(old)).await?;
        }
        Ok(())
    }
}

impl Image {
    /// The name without the tag.
    #[must_use]
    pub fn repository(&self) -> &str {
        self.name
            .rsplit_once(':')
            .map_or(&self.name, |(repository, _)| repository)
    }
}

/// Whether the name is that of the same image with another tag.
#[must_use]
pub fn is_other_version(name: &str, current: &str) -> bool {
    let repository = |name: &str| name.rsplit_once(':').map(|(repository, _)| repository.to_owned());
    name != current && repository(name).is_some() && repository(name) == repository(current)
}

/// Copies a folder, without the entries of these names at its top.
fn copy(from: &Path, to: &Path, without: &[&str]) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if without.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if source.is_dir() {
            copy(&source, &target, &[])?;
        } else {
            fs::copy(&source, &target).with_context(|| format!("cannot copy {}", source.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_image_are_told_from_other_images() {
        let current = "localhost/radio/icecast:2";
        assert!(is_other_version("localhost/radio/icecast:1", current));
        for other in [
            current,
            "localhost/radio/icecast2:1",
            "localhost/radio/operator:1",
            "<none>:<none>",
        ] {
            assert!(!is_other_version(other, current), "{other}");
        }
    }

    #[test]
    fn a_context_is_the_room_without_its_sources() {
        let folder = tempfile::tempdir().unwrap();
        let room = folder.path().join("icecast");
        fs::create_dir_all(room.join("src")).unwrap();
        fs::create_dir_all(room.join("share/src")).unwrap();
        fs::write(room.join("Dockerfile"), "FROM scratch\n").unwrap();
        fs::write(room.join("share/src/kept"), "").unwrap();
        fs::write(folder.path().join("icecast-agent"), "program").unwrap();
        let workshop = Workshop {
            folder: folder.path().join("cache"),
        };
        let context = workshop
            .context("icecast", &room, &[&folder.path().join("icecast-agent")])
            .unwrap();
        assert!(context.join("Dockerfile").exists() && context.join("share/src/kept").exists());
        assert!(context.join("bin/icecast-agent").exists() && !context.join("src").exists());
    }
}
