//! Learning from pictures: what JavaScript asks for, and what it gets.

use std::cell::Cell;
use std::time::Duration;

use js_sys::{Array, Object, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use super::browser::{self, get, set};
use super::request::{self, invalid, rgba, text};
use crate::Result;
use crate::pipeline::{Cancel, Pipeline, Request};
use crate::train::{
    Checkpoint, Kept, Naming, Origin, Picture, Preset, Recipe, Step, Takes, Told, Training, class_pictures,
};
use crate::weights::License;

/// How often one that waits looks whether it may go on.
const LOOKED: Duration = Duration::from_millis(50);

/// What is asked for: `{ images: [{ image, caption, mask, repeats }], classPrompts, preset, recipe, request, name, naming, trigger, saveEvery, checkpoint }`.
pub(super) struct Ask {
    images: Vec<Picture>,
    class_prompts: Vec<String>,
    preset: Preset,
    /// Fields of a recipe, in place of the preset's.
    recipe: serde_json::Map<String, serde_json::Value>,
    /// How pictures of the class are drawn; its size is that of all pictures.
    request: Request,
    name: String,
    naming: Naming,
    trigger: String,
    save_every: usize,
    checkpoint: Option<Checkpoint>,
}

impl Ask {
    pub fn of(value: &JsValue) -> Result<Ask> {
        let picture = |value: JsValue| {
            let mask = get(&value, "mask");
            Ok(Picture {
                image: rgba(&get(&value, "image"), "images")?,
                caption: text(&value, "caption")?,
                mask: mask.is_object().then(|| rgba(&mask, "mask")).transpose()?,
                repeats: request::whole(&value, "repeats", Some(1))?,
            })
        };
        let images = Array::from(&get(value, "images")).iter().map(picture).collect::<Result<Vec<_>>>()?;
        let prompts = Array::from(&get(value, "classPrompts"));
        let prompt =
            |value: JsValue| value.as_string().ok_or_else(|| invalid("classPrompts", "must be texts"));
        let recipe = get(value, "recipe");
        let recipe = match recipe.is_object() {
            true => serde_wasm_bindgen::from_value(recipe)
                .map_err(|error| invalid("recipe", error.to_string()))?,
            false => serde_json::Map::new(),
        };
        let checkpoint = get(value, "checkpoint").dyn_into::<Uint8Array>().ok().map(|bytes| bytes.to_vec());
        let [preset, naming] = [text(value, "preset")?, text(value, "naming")?];
        Ok(Ask {
            images,
            class_prompts: prompts.iter().map(prompt).collect::<Result<_>>()?,
            preset: if preset.is_empty() { Preset::default() } else { preset.parse()? },
            recipe,
            request: request::generate(&get(value, "request"))?,
            name: text(value, "name")?,
            naming: if naming.is_empty() { Naming::default() } else { naming.parse()? },
            trigger: text(value, "trigger")?,
            save_every: request::whole(value, "saveEvery", Some(50))?,
            checkpoint: checkpoint.map(|bytes| Checkpoint::from_bytes(&bytes)).transpose()?,
        })
    }

    /// The preset's recipe with what is asked for instead.
    fn recipe(&self, pipeline: &Pipeline) -> Result<Recipe> {
        let recipe = Recipe::of(self.preset, pipeline.config()).with(&self.recipe)?;
        let class_images = if self.class_prompts.is_empty() { 0 } else { recipe.class_images };
        let mut recipe = Recipe { class_images, ..recipe };
        if recipe.vectors > 0 {
            recipe.begin_as(self.class_prompts.first().map_or("", String::as_str));
        }
        Ok(recipe)
    }

    /// Learns from a model, which is under a licence, with a wait before each step for as long as `is_held`, and tells every step; what is
    /// learnt comes every some steps, at the end, and where it stops early.
    pub async fn answer(
        &self,
        (pipeline, license): (&mut Pipeline, Option<License>),
        is_held: &Cell<bool>,
        cancel: &Cancel,
        on_event: &JsValue,
    ) -> Result<JsValue> {
        let recipe = self.recipe(pipeline)?;
        recipe.check()?;
        pipeline.learns_on().map(drop)?; // before anything is drawn
        let recipe = match &self.checkpoint {
            Some(checkpoint) => checkpoint.recipe_for(recipe),
            None => recipe,
        };
        let tell = |what: &str| {
            let (what, on_event) = (what.to_string(), on_event.clone());
            move |done: usize, all: usize| {
                let event = Object::new().into();
                set(&event, "type", "prepare");
                set(&event, "what", what.as_str());
                set(&event, "done", done as f64);
                set(&event, "all", all as f64);
                browser::call(&on_event, &event);
            }
        };
        let asked = (self.class_prompts.as_slice(), recipe.class_images);
        let class = class_pictures(pipeline, asked, &self.request, &mut tell("class"), cancel).await?;
        let size = [self.request.width, self.request.height];
        let (name, naming, trigger) = (self.name.clone(), self.naming, self.trigger.clone());
        let origin = Origin { name, naming, trigger, license, size, ..Origin::default() };
        let pictures = (self.images.as_slice(), class.as_slice());
        let mut training =
            Training::begin(pipeline, recipe, pictures, origin, &mut tell("pictures"), cancel).await?;
        if let Some(checkpoint) = &self.checkpoint {
            training.resume(checkpoint)?;
        }
        browser::call(on_event, &begun(&training));
        let is_word = training.recipe().vectors > 0;
        let mut tell = |told: Told| {
            let event = match told {
                Told::Step(step) => stepped(&step),
                Told::Kept(learnt) => kept(&learnt, is_word),
            };
            browser::call(on_event, &event);
            Ok(())
        };
        let pause = async || {
            pipeline.pause().await;
            while is_held.get() && !cancel.is_cancelled() {
                gloo::timers::future::sleep(LOOKED).await;
            }
        };
        let learnt = training.learn(self.save_every, pause, &mut tell, cancel).await?;
        Ok(kept(&learnt, is_word))
    }
}

/// `{ weights, kept, learnt, again, parts, rank, askedRank, shapes }`: what memory it takes, what came of too little, and the shapes that
/// pictures keep.
fn begun(training: &Training) -> JsValue {
    let event = Object::new().into();
    let Takes { weights, kept, learnt, again: [again, parts] } = training.takes();
    set(&event, "type", "begin");
    set(&event, "weights", weights.map_or(JsValue::NULL, |bytes| JsValue::from(bytes as f64)));
    set(&event, "kept", kept as f64);
    set(&event, "learnt", learnt as f64);
    set(&event, "again", again as f64);
    set(&event, "parts", parts as f64);
    set(&event, "rank", training.recipe().rank as f64);
    set(&event, "askedRank", training.asked_rank() as f64);
    let shapes = training.shapes().iter().map(|([width, height], pictures)| {
        let shape = Object::new().into();
        let numbers = [("width", width), ("height", height), ("pictures", pictures)];
        numbers.into_iter().for_each(|(name, value)| set(&shape, name, *value as f64));
        shape
    });
    set(&event, "shapes", shapes.collect::<Array>());
    event
}

fn stepped(step: &Step) -> JsValue {
    let event = Object::new().into();
    set(&event, "type", "step");
    let numbers = [
        ("step", step.step as f64),
        ("steps", step.steps as f64),
        ("loss", step.loss),
        ("gradient", step.gradient),
        ("rate", step.rate),
    ];
    numbers.into_iter().for_each(|(name, value)| set(&event, name, value));
    set(&event, "priorLoss", step.prior_loss.map_or(JsValue::NULL, JsValue::from));
    event
}

/// `{ type, step, kind, file, checkpoint }`: what was learnt, `lora` or `embedding`, and what is needed to go on.
fn kept(learnt: &Kept, is_word: bool) -> JsValue {
    let event = Object::new().into();
    set(&event, "type", "kept");
    set(&event, "step", learnt.step as f64);
    set(&event, "kind", if is_word { "embedding" } else { "lora" });
    set(&event, "file", Uint8Array::from(learnt.file.as_slice()));
    set(&event, "checkpoint", Uint8Array::from(learnt.checkpoint.as_slice()));
    event
}
