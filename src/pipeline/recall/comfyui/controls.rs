//! Maps that steered a picture, of the nodes on its conditioning's way.

use super::super::{Settings, Steered, brief};
use super::nodes::{Graph, Node};
use super::stem;
use crate::image::maps::Preprocessor;
use crate::pipeline::MAX_CONTROL_STRENGTH;

impl Settings {
    /// The maps that a sampler's positive conditioning goes by, in the order in which they are applied.
    pub(super) fn take_controls<'a>(&mut self, graph: &Graph<'a>, sampler: Node<'a>) {
        let positive = graph.conditioning(sampler, "positive");
        positive.iter().rev().for_each(|node| self.take_apply(graph, *node));
    }

    /// A map and by how much it steers, if the node is one.
    fn take_apply<'a>(&mut self, graph: &Graph<'a>, node: Node<'a>) {
        if !matches!(node.class, "ControlNetApply" | "ControlNetApplyAdvanced" | "ControlNetApplySD3") {
            return;
        }
        let Some(loader) = graph.wired(node, "control_net") else { return };
        let Some(model) = graph.plain(loader, "control_net_name").map(|name| stem(&name)) else { return };
        graph.hear(node);
        graph.hear(loader);
        let map = graph.wired(node, "image");
        let preprocessor = map.and_then(|map| {
            let threshold = |input| graph.number(map, input).map(|value| value as u32);
            match map.class {
                "LoadImage" => Some(Preprocessor::None),
                "CannyEdgePreprocessor" => Some(Preprocessor::Canny {
                    low: threshold("low_threshold").unwrap_or(100),
                    high: threshold("high_threshold").unwrap_or(200),
                }),
                _ => None,
            }
        });
        match (map, preprocessor) {
            (Some(map), Some(_)) => {
                graph.hear(map);
                graph.wired(map, "image").into_iter().for_each(|image| graph.hear(image));
            }
            (Some(map), None) => {
                self.notices
                    .push(format!("There is no preprocessor “{}” here; give its map.", brief(map.class)));
            }
            _ => {}
        }
        self.notices
            .push(format!("It was steered by {} and a map, which its file does not hold.", brief(&model)));
        let strength = graph.number(node, "strength");
        if strength.is_some_and(|strength| strength > MAX_CONTROL_STRENGTH) {
            self.notices.push(format!("A map counts up to {MAX_CONTROL_STRENGTH} here."));
        }
        self.controls.push(Steered {
            model: Some(model),
            preprocessor: preprocessor.map(|kind| kind.to_string()),
            strength: strength.map(|strength| strength.min(MAX_CONTROL_STRENGTH)),
            start: graph.number(node, "start_percent"),
            end: graph.number(node, "end_percent"),
            importance: None,
            resize: None,
        });
    }
}
