//! From the parser's events to the tree.

use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, ScalarStyle, Span, Tag};

use super::{Document, MAX_DEPTH, MAX_NODES, Node, Places, Problem, Problems, Spanned, Value};

/// The most text that anchors and aliases may copy, in bytes.
const MAX_COPIED: usize = 16 << 20;
const CORE: &str = "tag:yaml.org,2002:";

/// Builds the tree with a stack of its own, so that the depth of a text is never ours.
pub struct Builder<'a> {
    source: &'a str,
    places: &'a Places<'a>,
    problems: &'a Problems,
    open: Vec<Collection>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    copied: usize,
    /// What is complete.
    pub documents: Vec<Document>,
}

struct Collection {
    start: usize,
    anchor: usize,
    items: Items,
}

enum Items {
    Sequence(Vec<Node>),
    Mapping(Entries),
}

#[derive(Default)]
struct Entries {
    entries: Vec<(Spanned<String>, Node)>,
    /// The place of each key.
    keys: HashMap<String, Range<usize>>,
    /// The key whose value comes next, and what is to be done with that.
    key: Option<(Spanned<String>, Use)>,
    /// What `<<` names.
    merged: Vec<Node>,
}

#[derive(Clone, Copy)]
enum Use {
    Keep,
    Merge,
    /// The key was there before, and that has been said.
    Drop,
}

impl<'a> Builder<'a> {
    pub fn new(source: &'a str, places: &'a Places<'a>, problems: &'a Problems) -> Self {
        Self {
            source,
            places,
            problems,
            open: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            copied: 0,
            documents: Vec::new(),
        }
    }

    /// Takes the next event.
    pub fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let start = self.places.at(&span.start);
        let span = start..self.places.at(&span.end).max(start);
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                let bare = tag.is_none() && anchor == 0;
                let node = scalar(&text, style, tag.as_deref(), self.written(span, &text, bare))?;
                let plain = style == ScalarStyle::Plain;
                self.count(1, &node)?;
                self.finished(node, anchor, plain)
            }
            Event::SequenceStart(anchor, tag) => {
                self.opened(span, anchor, tag.as_deref(), "seq", Items::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let items = Items::Mapping(Entries::default());
                self.opened(span, anchor, tag.as_deref(), "map", items)
            }
            Event::SequenceEnd | Event::MappingEnd => self.closed(span),
        }
    }

    /// Adds to a syntax error the bracket that was still open there.
    pub fn explain(&self, problem: Problem) -> Problem {
        match self.open.last() {
            Some(Collection { start, .. }) if self.source[*start..].starts_with(['[', '{']) => {
                problem.related(*start..*start + 1, "opened here and not closed before")
            }
            _ => problem,
        }
    }

    fn opened(
        &mut self,
        span: Range<usize>,
        anchor: usize,
        tag: Option<&Tag>,
        expected: &str,
        items: Items,
    ) -> Result<(), Problem> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(span));
        }
        match tag {
            None => {}
            Some(tag) if tag.handle == CORE && tag.suffix == expected => {}
            Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => {}
            Some(tag) => return Err(bad_tag(tag, span)),
        }
        self.nodes += 1;
        self.open.push(Collection { start: span.start, anchor, items });
        Ok(())
    }

    fn closed(&mut self, span: Range<usize>) -> Result<(), Problem> {
        let Some(Collection { start, anchor, items }) = self.open.pop() else {
            return Ok(());
        };
        let bracket = matches!(&self.source[span.clone()], "]" | "}");
        let (value, last) = match items {
            Items::Sequence(nodes) => {
                let last = nodes.last().map(|node| node.span.end);
                (Value::Sequence(nodes), last)
            }
            Items::Mapping(mapping) => {
                let last =
                    mapping.entries.last().map(|(key, node)| key.span.end.max(node.span.end));
                (Value::Mapping(self.merge(mapping)), last)
            }
        };
        // What has no bracket ends where its last value does; the parser's end is further on.
        let end = if bracket { span.end } else { last.unwrap_or(start) };
        self.finished(Node { value, span: start..end.max(start) }, anchor, false)
    }

    fn alias(&mut self, anchor: usize, span: Range<usize>) -> Result<(), Problem> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Problem::error(span, "this alias stands within what it stands for"));
        };
        let node = node.clone();
        self.copy(&node, &span)?;
        self.finished(node, 0, false)
    }

    /// Puts a whole value to where it belongs. `plain` says that it may be a merge key.
    fn finished(&mut self, node: Node, anchor: usize, plain: bool) -> Result<(), Problem> {
        if anchor != 0 {
            let span = node.span.clone();
            self.copy(&node, &span)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|collection| &mut collection.items) {
            None => {
                if node.value != Value::Null || !node.span.is_empty() {
                    self.documents.push(Document { root: node });
                }
            }
            Some(Items::Sequence(nodes)) => nodes.push(node),
            Some(Items::Mapping(mapping)) => match mapping.key.take() {
                None => mapping.key(self.source, node, plain, self.problems)?,
                Some((key, Use::Keep)) => mapping.entries.push((key, node)),
                Some((_, Use::Merge)) => mapping.merged.push(node),
                Some((_, Use::Drop)) => {}
            },
        }
        Ok(())
    }

    /// The entries with those added that `<<` names and the mapping does not have itself; of
    /// several, the first one counts.
    fn merge(&self, mapping: Entries) -> Vec<(Spanned<String>, Node)> {
        let Entries { mut entries, mut keys, merged, .. } = mapping;
        let listed = merged.into_iter().flat_map(|node| match node.value {
            Value::Sequence(nodes) => nodes,
            _ => vec![node],
        });
        for node in listed {
            let Value::Mapping(more) = node.value else {
                self.problems.push(
                    Problem::error(node.span, format!("`<<` cannot merge {}", node.value.kind()))
                        .help("give it an alias of a mapping, or a list of such aliases"),
                );
                continue;
            };
            for (key, node) in more {
                if !keys.contains_key(&key.value) {
                    keys.insert(key.value.clone(), key.span.clone());
                    entries.push((key, node));
                }
            }
        }
        entries
    }

    /// Where a scalar's text is: the parser's place without the line break after a block, and
    /// without the next token's place where nothing is written.
    fn written(&self, span: Range<usize>, text: &str, bare: bool) -> Range<usize> {
        let raw = &self.source[span.clone()];
        if text.is_empty() && bare && !raw.starts_with(['"', '\'', '|', '>']) {
            return span.start..span.start;
        }
        span.start..span.start + raw.trim_end().len()
    }

    fn count(&mut self, nodes: usize, node: &Node) -> Result<(), Problem> {
        self.nodes += nodes;
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let message = format!("the text has more than {MAX_NODES} values");
        Err(Problem::error(node.span.clone(), message).help("split it, or drop some aliases"))
    }

    /// Counts a copy of `node` that is to stand at the present depth.
    fn copy(&mut self, node: &Node, at: &Range<usize>) -> Result<(), Problem> {
        let weight = weigh(node);
        if self.open.len() + weight.depth > MAX_DEPTH {
            return Err(too_deep(at.clone()));
        }
        self.copied += weight.bytes;
        if self.copied > MAX_COPIED {
            return Err(Problem::error(at.clone(), "aliases repeat more than 16 MiB of text")
                .help("use fewer aliases"));
        }
        self.count(weight.nodes, &Node { value: Value::Null, span: at.clone() })
    }
}

impl Entries {
    fn key(
        &mut self,
        source: &str,
        node: Node,
        plain: bool,
        problems: &Problems,
    ) -> Result<(), Problem> {
        let span = node.span;
        let text = match node.value {
            Value::Scalar { text, .. } => text,
            Value::Null if !span.is_empty() => source[span.clone()].to_owned(),
            Value::Null => return Err(Problem::error(span, "a key is missing here")),
            other => {
                return Err(Problem::error(
                    span,
                    format!("a key is {}; it must be text", other.kind()),
                )
                .help("put a key that begins with a bracket or brace into quotes"));
            }
        };
        let what = match self.keys.get(&text) {
            Some(first) => {
                problems.push(
                    Problem::error(span.clone(), format!("the key `{text}` is here twice"))
                        .related(first.clone(), "first here")
                        .help("remove one of the two"),
                );
                Use::Drop
            }
            None => {
                self.keys.insert(text.clone(), span.clone());
                if plain && text == "<<" { Use::Merge } else { Use::Keep }
            }
        };
        self.key = Some((Spanned { value: text, span }, what));
        Ok(())
    }
}

/// A scalar as YAML 1.2's core schema sees it, so far as null and text go.
fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    span: Range<usize>,
) -> Result<Node, Problem> {
    let null = matches!(text, "" | "~" | "null" | "Null" | "NULL");
    let quoted = match tag {
        None => style != ScalarStyle::Plain,
        Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => true,
        Some(tag) if tag.handle == CORE => match tag.suffix.as_str() {
            "str" => true,
            "bool" | "float" | "int" => {
                let text = text.to_owned();
                return Ok(Node { value: Value::Scalar { text, quoted: false }, span });
            }
            "null" if null => false,
            _ => return Err(bad_tag(tag, span)),
        },
        Some(tag) => return Err(bad_tag(tag, span)),
    };
    let value =
        if null && !quoted { Value::Null } else { Value::Scalar { text: text.to_owned(), quoted } };
    Ok(Node { value, span })
}

fn bad_tag(tag: &Tag, span: Range<usize>) -> Problem {
    let name = match tag.handle.as_str() {
        CORE => format!("!!{}", tag.suffix),
        handle => format!("{handle}{}", tag.suffix),
    };
    Problem::error(span, format!("the tag `{name}` has no meaning here")).help("remove the tag")
}

fn too_deep(span: Range<usize>) -> Problem {
    Problem::error(span, format!("the text is nested more than {MAX_DEPTH} levels deep"))
}

struct Weight {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

/// Recursive, as cloning is: no tree is deeper than [`MAX_DEPTH`].
fn weigh(node: &Node) -> Weight {
    let mut weight = Weight { nodes: 1, bytes: 0, depth: 0 };
    let mut add = |child: &Node| {
        let child = weigh(child);
        weight.nodes += child.nodes;
        weight.bytes += child.bytes;
        weight.depth = weight.depth.max(child.depth + 1);
    };
    match &node.value {
        Value::Null => {}
        Value::Scalar { text, .. } => weight.bytes = text.len(),
        Value::Sequence(nodes) => nodes.iter().for_each(&mut add),
        Value::Mapping(entries) => {
            let keys: usize = entries.iter().map(|(key, _)| key.value.len()).sum();
            entries.iter().for_each(|(_, node)| add(node));
            weight.bytes += keys;
        }
    }
    weight
}
