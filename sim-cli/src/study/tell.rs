//! What a study found, as files: a report in Markdown with its pictures, each as SVG and as PNG.

use std::path::Path;

use sim_scenarios::report::markdown;
use sim_scenarios::report::story::Section;
use sim_scenarios::study::findings::Picture;

use super::keep::write;
use crate::failure::Failure;
use crate::picture;

/// The report.
const REPORT: &str = "study.md";

/// Writes them and returns their names.
pub fn report(
    directory: &Path,
    title: &str,
    sections: &[Section],
    pictures: &[Picture],
) -> Result<Vec<String>, Failure> {
    let mut names = vec![REPORT.to_owned()];
    let mut text = markdown::render_sections(title, sections);
    if !pictures.is_empty() {
        text.push_str("\n## Pictures\n");
    }
    for Picture { name, title, svg } in pictures {
        let file = format!("{name}.svg");
        // A title is made of names, which may hold anything; in an image's description brackets alone end it.
        let described = title.replace(['[', ']', '\\', '\n'], " ");
        text.push_str(&format!("\n![{described}]({file})\n"));
        write(&directory.join(&file), svg.as_bytes())?;
        let place = directory.join(format!("{name}.png"));
        write(&place, &picture::of(svg, &place)?)?;
        names.push(file);
    }
    write(&directory.join(REPORT), text.as_bytes())?;
    Ok(names)
}
