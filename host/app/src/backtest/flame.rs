//! Where fuel goes, as stacks that were counted and as a drawing of them.
//!
//! The drawing is an SVG that needs nothing else: it follows the reader's light or dark mode, shows each frame's share
//! on hovering, and zooms into a frame on a click.

use super::html::escape;
use core::fmt::Write;
use std::collections::BTreeMap;

/// Stacks, outermost frame first, and how often each was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stacks {
    counts: BTreeMap<Vec<String>, u64>,
}

impl Stacks {
    /// Counts a stack once.
    pub(crate) fn add(&mut self, stack: Vec<String>) {
        let count = self.counts.entry(stack).or_default();
        *count = count.saturating_add(1);
    }

    /// All that were counted.
    pub(crate) fn total(&self) -> u64 {
        self.counts
            .values()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// One line for each stack, as flame graph tools read them: frames with semicolons between them, and the count.
    pub(crate) fn folded(&self) -> String {
        let mut text = String::new();
        for (stack, count) in &self.counts {
            // A semicolon or a line end within a name would be read as the end of it.
            let frames: Vec<String> = stack
                .iter()
                .map(|frame| frame.replace(';', ":").replace(char::is_control, " "))
                .collect();
            let _ = writeln!(text, "{} {count}", frames.join(";"));
        }
        text
    }

    /// The functions that stood on top of the stack most often: where the fuel itself was burned, and in how many
    /// stacks they were at all. Most first.
    pub(crate) fn functions(&self) -> Vec<(String, u64, u64)> {
        let mut functions: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (stack, count) in &self.counts {
            if let Some(top) = stack.last() {
                let (own, _) = functions.entry(top).or_default();
                *own = own.saturating_add(*count);
            }
            let mut seen: Vec<&str> = stack.iter().map(String::as_str).collect();
            seen.sort_unstable();
            seen.dedup();
            for name in seen {
                let (_, all) = functions.entry(name).or_default();
                *all = all.saturating_add(*count);
            }
        }
        let mut functions: Vec<_> = functions
            .into_iter()
            .map(|(name, (own, all))| (name.to_owned(), own, all))
            .collect();
        functions.sort_by(|a, b| b.1.cmp(&a.1).then(b.2.cmp(&a.2)).then(a.0.cmp(&b.0)));
        functions
    }

    /// The drawing.
    pub(crate) fn svg(&self, title: &str, unit: &str) -> String {
        let mut root = Frame::default();
        for (stack, count) in &self.counts {
            root.add(stack, *count);
        }
        let depth = root.depth();
        let height = HEAD + ROW * depth as f64 + FOOT;
        let mut svg = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" data-width="{WIDTH}">
<title>{title}</title>
<style>{STYLE}</style>
<rect class="paper" width="{WIDTH}" height="{height}"/>
<text class="head" x="{MARGIN}" y="26">{title}</text>
<text class="note" x="{MARGIN}" y="44">{total} samples, evenly spaced over the {unit}; the wider, the more. Click a frame to zoom, the lowest one to return.</text>
"#,
            title = escape(title),
            unit = escape(unit),
            total = root.count,
        );
        let drawing = Drawing {
            total: root.count.max(1),
            scale: (WIDTH - 2.0 * MARGIN) / root.count.max(1) as f64,
            floor: height - FOOT - ROW,
        };
        drawing.frame(&mut svg, &root, "all", 0, 0);
        let _ = write!(svg, "<script><![CDATA[{SCRIPT}]]></script>\n</svg>\n");
        svg
    }
}

/// Width of a drawing.
const WIDTH: f64 = 1200.0;
/// Room left and right.
const MARGIN: f64 = 12.0;
/// Height of a frame.
const ROW: f64 = 19.0;
/// Room above for the title.
const HEAD: f64 = 58.0;
/// Room below.
const FOOT: f64 = 10.0;
/// Width of a letter, about.
const LETTER: f64 = 6.7;
/// Frames narrower than this are not drawn.
const THINNEST: f64 = 0.3;

const STYLE: &str = "\
.paper{fill:#fcfcfb}.head{font:600 15px system-ui,sans-serif;fill:#0b0b0b}.note{font:12px system-ui,sans-serif;fill:#52514e}\
.f{cursor:pointer}.f text{font:11px ui-monospace,monospace;fill:#1a1108;pointer-events:none}.f rect{stroke:#fcfcfb;stroke-width:1}\
.f:hover rect{stroke:#0b0b0b}\
@media(prefers-color-scheme:dark){.paper{fill:#1a1a19}.head{fill:#fff}.note{fill:#c3c2b7}.f rect{stroke:#1a1a19}.f:hover rect{stroke:#fff}}";

const SCRIPT: &str = r#"
(function(){
var svg=document.currentScript.ownerSVGElement||document.documentElement,W=+svg.dataset.width,M=12;
var all=[].slice.call(svg.querySelectorAll('.f'));
function fit(g,x,w){
 var r=g.querySelector('rect'),t=g.querySelector('text'),n=g.dataset.n;
 r.setAttribute('x',x);r.setAttribute('width',Math.max(w,0));
 var k=Math.floor((w-8)/6.7);
 t.setAttribute('x',x+4);t.textContent=k<3?'':n.length<=k?n:n.slice(0,k-1)+'…';
}
function zoom(to){
 var a=+to.dataset.a,c=+to.dataset.c,d=+to.dataset.d,s=(W-2*M)/c;
 all.forEach(function(g){
  var b=+g.dataset.a,k=+g.dataset.c,below=+g.dataset.d<d;
  var inside=below?(b<=a&&b+k>=a+c):(b>=a&&b+k<=a+c);
  g.style.display=inside?'':'none';
  if(inside)below?fit(g,M,W-2*M):fit(g,M+(b-a)*s,k*s);
 });
}
all.forEach(function(g){g.addEventListener('click',function(){zoom(g)})});
})();
"#;

/// A frame with what was called from it.
#[derive(Debug, Default)]
struct Frame<'s> {
    count: u64,
    callees: BTreeMap<&'s str, Frame<'s>>,
}

impl<'s> Frame<'s> {
    fn add(&mut self, stack: &'s [String], count: u64) {
        let mut frame = self;
        frame.count = frame.count.saturating_add(count);
        for name in stack {
            frame = frame.callees.entry(name).or_default();
            frame.count = frame.count.saturating_add(count);
        }
    }

    fn depth(&self) -> usize {
        let deepest = self.callees.values().map(Self::depth).max();
        deepest.unwrap_or(0).saturating_add(1)
    }
}

struct Drawing {
    total: u64,
    scale: f64,
    floor: f64,
}

impl Drawing {
    /// Draws a frame that begins after `before` samples, and all above it.
    fn frame(&self, svg: &mut String, frame: &Frame<'_>, name: &str, before: u64, depth: usize) {
        let width = frame.count as f64 * self.scale;
        if width < THINNEST {
            return;
        }
        let x = MARGIN + before as f64 * self.scale;
        let y = self.floor - ROW * depth as f64;
        let percent = 100.0 * frame.count as f64 / self.total as f64;
        let letters = ((width - 8.0) / LETTER).max(0.0) as usize;
        let _ = writeln!(
            svg,
            r#"<g class="f" data-a="{before}" data-c="{count}" data-d="{depth}" data-n="{name}"><title>{name}: {count} samples, {percent:.1} %</title><rect x="{x:.2}" y="{y}" width="{width:.2}" height="{ROW}" rx="2" fill="{fill}"/><text x="{tx:.2}" y="{ty}">{label}</text></g>"#,
            count = frame.count,
            name = escape(name),
            fill = color(name),
            tx = x + 4.0,
            ty = y + 13.0,
            label = escape(&fitting(name, letters)),
        );
        let mut at = before;
        for (name, callee) in &frame.callees {
            self.frame(svg, callee, name, at, depth.saturating_add(1));
            at = at.saturating_add(callee.count);
        }
    }
}

/// As much of a name as fits.
fn fitting(name: &str, letters: usize) -> String {
    if letters < 3 {
        return String::new();
    }
    if name.chars().count() <= letters {
        return name.to_owned();
    }
    let mut cut: String = name.chars().take(letters.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// A warm colour that is always the same for the same name.
fn color(name: &str) -> String {
    let hash = name.bytes().fold(2_166_136_261u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(16_777_619)
    });
    let hue = 18 + hash % 34;
    let light = 62 + (hash >> 8) % 12;
    format!("hsl({hue} 85% {light}%)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stacks() -> Stacks {
        let mut stacks = Stacks::default();
        let names = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
        for _ in 0..3 {
            stacks.add(names("quote/parse"));
        }
        stacks.add(names("quote/<T as core::fmt::Debug>::fmt;x"));
        stacks.add(names("quote"));
        stacks
    }

    #[test]
    fn stacks_fold_to_a_line_each() {
        assert_eq!(stacks().total(), 5);
        assert_eq!(
            stacks().folded(),
            "quote 1\nquote;<T as core::fmt::Debug>::fmt:x 1\nquote;parse 3\n"
        );
    }

    #[test]
    fn a_function_has_its_own_fuel_and_that_of_what_it_calls() {
        let functions = stacks().functions();
        assert_eq!(functions[0], ("parse".to_owned(), 3, 3));
        let quote = functions.iter().find(|(name, ..)| name == "quote").unwrap();
        assert_eq!((quote.1, quote.2), (1, 5));
    }

    #[test]
    fn a_drawing_escapes_names_and_has_a_frame_for_each() {
        let svg = stacks().svg("where <fuel> goes", "fuel");
        assert!(svg.contains("where &lt;fuel&gt; goes"));
        assert!(svg.contains("&lt;T as core::fmt::Debug&gt;::fmt;x: 1 samples, 20.0 %"));
        assert_eq!(svg.matches("<g class=\"f\"").count(), 4);
        assert!(!svg.contains("<T as"));
    }

    #[test]
    fn nothing_counted_is_still_a_drawing() {
        let svg = Stacks::default().svg("empty", "fuel");
        assert!(svg.contains("0 samples"));
    }
}
