/**
 * Every word of the view "How it works", in one place: a translation is this file in another language.
 * Functions take numbers and names that stand inside a sentence.
 */

const two = (value) => value.toFixed(2);
const three = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(3));

/** Pictures that differ by less, of 255, look the same. */
const SAME = 6;

/** What a model answers with, in formulas. */
const ANSWERS = { epsilon: 'ε̂', v_prediction: 'v̂', sample: 'm' };

/** What a step with several evaluations is made of: their answers are numbered. */
const each = (factors, of) => factors.map((factor, i) => [factor, factors.length > 1 ? `${of}_${i + 1}` : of]);

/** "0.999 · x − 0.052 · v̂", without what counts nothing. */
function sum(...terms) {
  const there = terms.filter(([factor], i) => i < 2 || factor);
  return there.map(([factor, of], i) => `${i === 0 ? (factor < 0 ? '−' : '') : factor < 0 ? ' − ' : ' + '}${three(Math.abs(factor))} · ${of}`).join('');
}

export const TEXTS = {
  title: 'How it works',
  lede: 'Everything below is computed here and now, by the model in this tab. Nothing is a recording: change a '
    + 'prompt, a slider or a seed, and watch what becomes of it.',
  contents: 'On this page',
  waiting: 'The model is not here yet; this begins when it is.',
  busy: 'Working',
  stopped: 'Stopped',
  cancel: 'Stop',
  paper: 'Paper',
  formula: 'The formula',
  prompt: 'Prompt',
  seed: 'Seed',
  failed: (message) => `That did not work: ${message}`,
  seedName: 'The seed',
  see: 'Let us see.',
  changed: 'You changed it meanwhile: guess again.',
  unanswered: 'It did not come to its end: guess again.',
  strange: (name, words, more) => `${name} knows no ${words.join(', no ')}${more ? ', nor others' : ''}.`,
  next: (title) => `Next: ${title}`,
  toCreate: 'Make a picture of your own',
  old: (button) => `What is shown was made before you changed this. “${button}” makes it anew.`,

  machine: {
    label: 'The whole machine',
    idle: 'Each piece leads to the part that takes it apart.',
    run: 'Draw and watch',
    names: {
      words: 'Words', tokens: 'Tokens', text: 'Text encoder', noise: 'Noise', unet: 'UNet', scheduler: 'Scheduler',
      vae: 'Autoencoder', picture: 'Picture',
    },
    says: {
      words: 'what you typed', tokens: 'cut in pieces', text: 'their meaning', noise: 'of a seed', unet: 'answers',
      scheduler: 'steps', vae: 'unpacks latents', picture: '',
    },
    step: (i, n) => `${i} of ${n}`,
    now: {
      words: () => 'The words are cut into tokens.',
      tokens: () => 'The words are cut into tokens.',
      text: () => 'The text encoder gives the tokens their meaning.',
      noise: () => 'Noise is drawn from a seed.',
      unet: (i, n) => `Step ${i} of ${n}: the UNet answers.`,
      scheduler: (i, n) => `Step ${i} of ${n}: the UNet answers, the scheduler takes the step.`,
      vae: () => 'The autoencoder turns latents into a picture.',
      picture: () => 'Done. Each piece leads to the part that takes it apart.',
    },
  },

  into: {
    title: 'Into noise',
    paragraphs: [
      'A diffusion model learns from pictures that were spoiled on purpose. A picture is faded a little and some random '
      + 'noise is added, again and again, until after T steps hardly anything but noise is left. Many such small steps '
      + 'amount to one large one, so any stage can be reached in one go: move the slider.',
      'What is mixed are shares of the picture (the signal) and of the noise. Their squares always add up to one, so '
      + 'a picture whose numbers have the strength (variance) one keeps it on the whole way. Latents have, nearly. The '
      + 'pixels shown have not, and the screen ends at black and white: what the noise pushes beyond is cut off there.',
      'Stable Diffusion does this not with pixels but with latents: an autoencoder first packs the picture into a '
      + 'much smaller grid with a few numbers per cell, which saves most of the work. Those numbers are no colours; '
      + 'they are shown here in colours fitted to them, cut off likewise.',
    ],
    facts: ({ last, signal, latentChannels }) => [
      `Time t counts from 0, the clean picture, to T = ${last}, here and below. In diffusers’ code the same times are `
      + `called timesteps 0 to ${last - 1}, one less. A cell has ${latentChannels} numbers in this model`
      + `${latentChannels === 4 ? ', as in Stable Diffusion.' : '; Stable Diffusion has 4.'}`,
      signal[last] < 0.01
        ? `At t = ${last} nothing but noise is left.`
        : `Even at t = ${last} a share of ${three(signal[last])} is still picture: pure noise is what every drawing begins `
        + 'with, and what the model never saw. Stable Diffusion’s schedule has this slip too; years went by before anyone '
        + 'noticed that it keeps pictures from becoming very dark or very bright (Lin et al. 2023).',
    ],
    question: {
      ask: 'A guess first: at half time, is more of the mixture picture or noise?',
      answers: ['Picture', 'Noise', 'As much of each'],
    },
    half: (answer, signal, noise) => {
      const most = Math.abs(signal - noise) < 0.05 ? 2 : Number(noise > signal);
      return `${answer === most ? 'Yes' : 'No'}: ${two(signal)} of the picture and ${two(noise)} of the noise. `
        + 'The slider stands there now. Can you still tell what it is?';
    },
    live: (t, signal, noise) => `x_${t} = ${three(signal)} · x_0 + ${three(noise)} · ε`,
    formula: [
      'x_t = √{ᾱ_t} · x_0 + √{1 − ᾱ_t} · ε , ε ~ N(0, I)',
      'x₀ is the clean picture, xₜ the noised one, ε the noise. ᾱₜ is the product of 1 − β over all steps up to t; the '
      + 'model’s schedule lists the βs. The signal’s share is √ᾱₜ, the noise’s √(1 − ᾱₜ).',
    ],
    papers: [
      ['Ho et al. 2020: Denoising Diffusion Probabilistic Models', 'https://arxiv.org/abs/2006.11239'],
      ['Rombach et al. 2022: High-Resolution Image Synthesis with Latent Diffusion Models',
        'https://arxiv.org/abs/2112.10752'],
      ['Lin et al. 2023: Common Diffusion Noise Schedules and Sample Steps are Flawed', 'https://arxiv.org/abs/2305.08891'],
    ],
    source: 'Picture',
    example: 'Make this example',
    own: 'Use your own picture',
    drop: 'Or drop a picture here, or paste one. It stays on this machine.',
    pixels: 'In pixels',
    latents: 'In latents',
    latentsSize: (w, h, c) => `${w} × ${h} cells, ${c} numbers each`,
    empty: 'No picture yet',
    t: (last) => `Time t, from 0 to ${last}`,
    shares: (t, signal, noise) => `t = ${t} · signal ${three(signal)} · noise ${three(noise)}`,
    signal: 'signal √ᾱ',
    noise: 'noise √(1 − ᾱ)',
    plot: 'Shares of signal and noise over time: the signal falls from one to nearly zero while the noise rises.',
    again: 'Again, with other noise',
    making: 'Making the example',
    encoding: 'Packing the picture into latents',
    ready: 'Move the slider.',
    notAPicture: 'This file is not a picture that the browser can open. Try a PNG, JPEG or WebP.',
    alt: (where, t) => `The picture at t = ${t}, ${where}`,
  },

  back: {
    title: 'Back out of noise',
    paragraphs: [
      'The model was trained on one question only: given a noised picture, its time and the prompt, what was mixed '
      + 'there? By its answer a part of the noise is removed, and it is asked again.',
    ],
    seen: [
      'Whoever can tell the noise can also tell the picture, and the other way round, since the mixture and its shares '
      + 'are known. So every answer holds a guess of the finished picture.',
      'What the prompt and the noise leave open, the guess shows as an average of all that could be there: a blur. What '
      + 'the words settle stands there at once. This small model knows its things by heart, so an apple is an apple from '
      + 'the first step on, and only the ground behind it is still undecided. With each step the picture that goes in is '
      + 'a little cleaner, until the guess and the picture have become the same.',
    ],
    settings: 'Change the run',
    anew: 'Start with these',
    guided: [
      'Guidance makes the prompt count for more: the model answers twice, with and without the prompt, and the '
      + 'difference between the two answers is enlarged.',
    ],
    nothingToEnlarge: 'The prompt is empty. Without words guidance has nothing to enlarge: both runs will be the same.',
    kinds: {
      epsilon: ['This model answers with the noise ε, and its guess of the picture follows from it.'],
      v_prediction: [
        'This model answers with v: as much of the noise as there is picture in what goes in, less as much of the picture '
        + 'as there is noise. Thought of as a direction, that is the mixture it was shown, turned a quarter. From the two '
        + 'together the noise and the picture both follow.',
        'At great noise v is nearly the picture itself, with the sign turned round; at little noise, the noise. So the '
        + 'question is never too easy.',
      ],
      sample: ['This model answers with the finished picture itself, and the noise follows from it.'],
    },
    formula: [
      'v = √{ᾱ_t} · ε − √{1 − ᾱ_t} · x_0',
      'is what models of the v kind are asked for; others are asked for the noise ε. A hat marks what a model says. The '
      + 'guess of the finished latents follows from either:',
      'x̂_0 = √{ᾱ_t} · x_t − √{1 − ᾱ_t} · v̂ = {x_t − √{1 − ᾱ_t} · ε̂} / √{ᾱ_t}',
      'Every sampler here takes the step:',
      'next = a · x + b · m + c · z',
      'with the latents x, the model’s answer m, fresh noise z where the sampler adds any, and numbers a, b, c from the '
      + 'schedule. DDIM and Euler are the same step in two notations. Heun takes Euler’s on trial, asks the model again where '
      + 'it leads, and goes by the mean of the two answers: better steps, each twice the work. LCM goes to the guess and adds '
      + 'fresh noise to it, which only models that were distilled for it bear. DPM++ 2M and LMS, to be chosen '
      + 'under Create, also remember answers before, so their steps cannot be taken alone.',
      'm = m_∅ + w · (m_{prompt} − m_∅)',
      'is classifier-free guidance: m∅ is the answer without the prompt, w the guidance. σ = √((1 − ᾱ) / ᾱ) is the '
      + 'noise level.',
    ],
    papers: [
      ['Song et al. 2020: Denoising Diffusion Implicit Models (DDIM)', 'https://arxiv.org/abs/2010.02502'],
      ['Salimans and Ho 2022: Progressive Distillation (v)', 'https://arxiv.org/abs/2202.00512'],
      ['Lu et al. 2022: DPM-Solver++', 'https://arxiv.org/abs/2211.01095'],
      ['Ho and Salimans 2022: Classifier-Free Diffusion Guidance', 'https://arxiv.org/abs/2207.12598'],
      ['Ho et al. 2020: Denoising Diffusion Probabilistic Models', 'https://arxiv.org/abs/2006.11239'],
    ],
    question: {
      ask: 'And with no words at all: what will the very first guess look like?',
      answers: ['Noise', 'A blur', 'A finished thing'],
    },
    nothing: (answer) => `${answer === 1 ? 'Yes' : 'No'}, a blur: with nothing to go by, the best guess is the average of `
      + 'everything it has learnt. It stands there now; move “Step shown” to see it make up its mind.',
    start: 'Start from',
    fromNoise: 'pure noise',
    fromPicture: 'the noised picture above',
    fromPictureAt: (t) => `the noised picture above, t = ${t}`,
    steps: 'Steps',
    sampler: 'Sampler',
    guidance: 'Guidance',
    compare: 'Side by side',
    compareNone: 'one run',
    comparePrompts: 'two prompts',
    compareGuidance: 'guidance 1 and 7',
    other: 'Second prompt',
    step: 'One step',
    run: 'Run',
    pause: 'Pause',
    reset: 'Start over',
    scrub: 'Step shown',
    decode: 'Through the decoder',
    input: 'What goes in',
    v: 'The answer, v',
    noise: 'Noise in it',
    clean: 'Its guess of the finished picture',
    // The pictures of a step are numbered in the order in which they stand.
    follows: {
      epsilon: {
        input: 'the start, then 4 of the step before', noise: 'the model’s answer to\u00a01', clean: 'follows from 1\u00a0and\u00a02',
        after: '2 and 3 mixed anew, with less noise',
      },
      v_prediction: {
        input: 'the start, then 5 of the step before', v: 'the model’s answer to\u00a01', noise: 'follows from 1\u00a0and\u00a02',
        clean: 'follows from 1\u00a0and\u00a02', after: '3 and 4 mixed anew, with less noise',
      },
      sample: {
        input: 'the start, then 4 of the step before', clean: 'the model’s answer to\u00a01', noise: 'follows from 1\u00a0and\u00a02',
        after: '2 and 3 mixed anew, with less noise',
      },
    },
    after: 'After the step',
    finished: 'The finished picture',
    start0: 'Nothing has been removed yet. Take a step.',
    numbers: (i, n, { timestep, sigma, signal, noiseShare }) =>
      `Step ${i} of ${n} · t = ${Math.round(timestep) + 1} · σ ${three(sigma)} · signal ${two(signal)} · noise ${two(noiseShare)}`,
    guess: ({ cleanX, cleanModel }, kind) => `x̂_0 = ${sum([cleanX, 'x'], [cleanModel, ANSWERS[kind]])}`,
    coefficients: ({ nextX, nextModels, nextNoises }, kind) =>
      `next = ${sum([nextX, 'x'], ...each(nextModels, ANSWERS[kind]), ...each(nextNoises, 'z'))}`,
    lane: {
      alone: (prompt) => (prompt.trim() ? `“${prompt.trim()}”` : 'Without words'), wordless: 'Without words',
      promptA: 'First prompt', promptB: 'Second prompt', guidance: (w) => `Guidance ${w}`,
    },
    working: (i, n) => `Step ${i} of ${n}`,
    done: 'All steps are taken.',
    taken: (i, n) => `Step ${i} of ${n} is taken.`,
    paused: 'Paused',
    seenNoise: 'The noise is the one in the picture above.',
  },

  words: {
    title: 'Words into pictures',
    paragraphs: [
      'The prompt is cut into tokens: whole words, or pieces of rarer ones. A text encoder turns each into a list of '
      + 'numbers that also knows its neighbours.',
      'In many of its layers the model compares every place of the picture with every token. How much attention a '
      + 'place pays to a token decides how much of that token’s meaning it takes in. Point at or tap a word to see where it '
      + 'was looked at, or the picture to see which words that place looked at. All maps have one scale.',
      'Much of the attention goes to the tokens around the words, which begin, end and fill up the text: that is where '
      + 'a place looks that needs no single word. And a word that is hardly looked at may still count, for its '
      + 'neighbours have heard of it in the text encoder: “apple” may bring the red along.',
    ],
    formula: [
      'A = softmax({Q · K^T} / √d)',
      'Q comes from the places of the picture, K from the tokens, d is the length of one comparison. A row of A says how '
      + 'one place shares its attention among the tokens; shown is the mean over the layer’s heads.',
    ],
    papers: [
      ['Rombach et al. 2022: High-Resolution Image Synthesis with Latent Diffusion Models',
        'https://arxiv.org/abs/2112.10752'],
    ],
    draw: 'Draw and look',
    tokens: 'Tokens',
    begin: 'begin',
    end: 'end',
    filling: 'filling',
    closer: 'One layer, one step',
    layer: 'Layer',
    allLayers: 'the mean of all layers',
    step: (which) => `Step: ${which}`,
    allSteps: 'the mean of all steps',
    result: 'The picture',
    ask: 'The picture: arrow keys ask its places for their words',
    askMap: 'The map: arrow keys ask its places for their words',
    heat: (token) => `Where “${token}” was looked at`,
    working: (i, n) => `Step ${i} of ${n}, with its attention`,
    done: 'Point at or tap a word, or the picture.',
    share: (mean, most) => `${mean} of all attention, ${most} at most`,
    most: (share) => `${share} of a place’s attention, or more`,
    places: (w, h) => `${w} × ${h}`,
    and: ' and ',
    sizes: (sizes) => `The model looks with ${sizes} places, drawn smoothly here.`,
    here: (list) => `This place looks at: ${list}.`,
    everywhere: (list) => `All places together look at: ${list}.`,
    stepOf: (i, n) => `${i} of ${n}`,
    blocks: { down_blocks: 'way down', mid_block: 'middle', up_blocks: 'way up' },
    layerName: (block, number, layer, size) => `${block}${number}, layer ${layer} (${size})`,
  },

  vary: {
    title: 'Why it varies',
    paragraphs: [
      'The prompt says what; the noise a run starts from decides the rest, whatever the prompt left open. How much that '
      + 'is depends on the model: a large one places and turns things anew with each seed, this small one learnt its things '
      + 'by heart and mostly has the ground left to choose, now and then the place. A seed is the number the noise is drawn from, so the same seed and settings give the '
      + 'same picture again.',
      'Between two noises lie other noises, and pictures change gradually on the way. The way is an arc and not a '
      + 'straight line: halfway along a straight line the noise would be too weak, unlike any the model has seen.',
    ],
    formula: [
      'slerp(a, b, s) = {sin((1 − s) · θ)} / {sin θ} · a + {sin(s · θ)} / {sin θ} · b',
      'θ is the angle between a and b. Between two prompts the same is done with the encoded tokens, one by one.',
    ],
    papers: [['Song et al. 2020: Denoising Diffusion Implicit Models, section 5.3', 'https://arxiv.org/abs/2010.02502']],
    apart: (n, mean) => `${n} pictures. They differ by ${mean < 10 ? mean.toFixed(1) : Math.round(mean)} of 255 on average, each from each.`
      + (mean < SAME ? ' That is next to nothing: the prompt leaves hardly anything open, so the noise has nothing to decide. '
        + 'Name no ground, or fewer things.' : ''),
    question: {
      ask: 'Half way between two seeds: what will be there?',
      answers: ['Both at once, one shining through the other', 'A picture of its own'],
    },
    middle: (answer, off, ends) => {
      if (ends < SAME) return 'The two ends are nearly the same picture, so nothing much happens on the way. Leave more open.';
      const own = off > ends / 8;
      return `${answer === Number(own) ? 'Yes' : 'No'}: the picture half way is ${Math.round(off)} of 255 from both ends laid over `
        + `each other. ${own ? 'Noise between noises is noise like any other, and gives a whole picture.' : 'Here it is close to that.'}`;
    },
    eight: 'Eight seeds',
    grid: 'The same prompt with eight seeds',
    picture: (seed) => `Seed ${seed}`,
    walk: 'A walk',
    between: 'Between',
    seeds: 'two seeds',
    prompts: 'two prompts',
    toSeed: 'To seed',
    toSeedName: 'The second seed',
    toPrompt: 'To prompt',
    frames: 'Pictures',
    make: 'Make the film',
    film: 'The film',
    empty: 'No film yet',
    frame: 'Picture shown',
    play: 'Play',
    pause: 'Pause',
    save: 'Save as APNG',
    working: (i, n) => `Picture ${i} of ${n}`,
    done: (n) => `${n} pictures`,
    alt: (share) => `The picture ${Math.round(share * 100)} percent of the way`,
  },

  middle: {
    title: 'Begin in the middle',
    paragraphs: [
      'A run need not begin with noise alone. Take a picture, noise it only a part of the way, as in the first part, and '
      + 'draw on from there: what the noise left of it is a beginning that the steps still to come cannot ignore. How far that '
      + 'way goes is called strength. Little noise covers the small things and leaves the large ones; so at a low strength '
      + 'details are drawn anew, at a high one everything is.',
      'The same picture at five strengths, with the prompt below. It is the picture of the first part: choose another, or one '
      + 'of your own, there.',
    ],
    formula: [
      'x_k = √{ᾱ_k} · x_0 + √{1 − ᾱ_k} · ε',
      'x_0 is the picture, k the step where the run begins. With N steps and strength s, the last s · N of them are taken.',
    ],
    papers: [['Meng et al. 2021: SDEdit, Guided Image Synthesis and Editing with Stochastic Differential Equations', 'https://arxiv.org/abs/2108.01073']],
    question: {
      ask: 'The prompt asks for something else. What comes at strength 0.2?',
      answers: ['Mostly the picture that was there', 'Mostly what the prompt asks for'],
    },
    verdict: (answer, asked, off, whole) => {
      if (whole < SAME) return 'Even at full strength nearly the same picture comes. Ask for something else in the prompt.';
      const stays = off < whole / 2;
      return `${answer === Number(!stays) ? 'Yes' : 'No'}: at ${asked} the picture is ${Math.round(off)} of 255 from where it began, `
        + `with nothing kept ${Math.round(whole)}. ${stays ? 'Its shapes and colours were stronger than that much noise.'
          : 'That much noise had already covered what makes it what it is.'}`;
    },
    draw: 'Five strengths',
    grid: 'One picture, drawn anew at five strengths',
    begun: 'What it begins with',
    empty: 'No picture yet',
    nothing: 'There is no picture to begin with yet: bring one in the first part.',
    strength: (strength) => `Strength ${strength}`,
    level: (first, steps, { picture, noise }) => `from step ${first} of ${steps}: picture ${two(picture)}, noise ${two(noise)}`,
    working: (i, n) => `${i} of ${n}`,
    done: (distances) => `How far each is from the beginning, of 255: ${distances.map(Math.round).join(', ')}.`,
  },

  training: {
    title: 'A training step',
    paragraphs: [
      'Training is one small step, again and again: take a picture with its caption, draw a time t and some noise, mix '
      + 'them, and ask the model. Picture and noise are known here, so what it should have answered is known too, and so '
      + 'is how far off it was. Below is such a step at three times, taken by the model in this tab.',
    ],
    asks: {
      epsilon: 'This model is asked for the noise. Where there is much of it that is easy, for it is nearly all there is '
        + 'to see; where there is little, it has to be told apart from the picture.',
      v_prediction: 'This model is asked for v. At little noise that is nearly the noise, which has to be told apart from '
        + 'the picture; at much noise it is nearly the picture with its sign turned, which has to be guessed from next '
        + 'to nothing, and from the caption.',
      sample: 'This model is asked for the picture: easy where there is little noise, and hard where there is much.',
    },
    then: 'Now an optimizer would turn each of the model’s millions of numbers a tiny bit the way that makes this error '
      + 'smaller (its gradient says which), and take the next picture; the error, averaged over many steps, is the loss '
      + 'curve one watches: steep at first, then ever flatter, until it pays no more to go on. Nothing is changed here.',
    formula: [
      'L = {‖m − y‖^2} / n',
      'm is the model’s answer, y what it should have been, each of n numbers: ε, or v as under “Back out of noise”. The '
      + 'gradient of L with respect to the model’s weights makes the step: algorithm 1 of Ho et al. 2020. The caption is '
      + 'left out once in a while, one time in ten for Mini, so that guidance has an answer without it.',
    ],
    papers: [
      ['Ho et al. 2020: Denoising Diffusion Probabilistic Models, algorithm 1', 'https://arxiv.org/abs/2006.11239'],
      ['Salimans and Ho 2022: Progressive Distillation (v)', 'https://arxiv.org/abs/2202.00512'],
      ['Ho and Salimans 2022: Classifier-Free Diffusion Guidance', 'https://arxiv.org/abs/2207.12598'],
    ],
    question: {
      ask: 'A guess first: with the caption taken away, where will the model be off the most?',
      answers: ['Little noise', 'Half way', 'Much noise'],
    },
    most: (answer, at, name, without, withIt) => `${answer === at ? 'Yes' : 'No'}: ${name}, with an error of ${three(without)}. `
      + `With the caption the error there is ${three(withIt)}.`,
    above: 'the one under “Into noise”',
    last: 'the one you drew last',
    ownPicture: 'your own',
    gone: 'That picture has been deleted since. Choose another.',
    caption: 'Caption',
    take: 'Take the step',
    again: 'With other noise',
    given: 'The model is given the caption',
    working: 'Getting the picture and its latents',
    level: (i, n) => `Time ${i} of ${n}, with the caption and without`,
    done: 'Three times, one noise. Take the caption away and look again.',
    names: ['Little noise', 'Half way', 'Much noise'],
    noised: 'What goes in',
    answer: 'The answer',
    target: 'What it should have been',
    off: 'The difference',
    error: (error) => `Error ${three(error)}`,
    with: (error) => `With the caption: ${three(error)}`,
    without: (error) => `Without the caption: ${three(error)}`,
    verdict: (better, n) => `The error is the mean of the squared differences: what training makes smaller. The caption makes `
      + `it smaller at ${better} of the ${n} times here. All differences are coloured on one scale.`,
  },

  own: {
    title: 'Your own',
    terms: [
      ['A checkpoint', 'is a whole trained model in a file: the text encoder, the denoising network and the autoencoder. '
        + 'Training it further gives a new one. Stable Diffusion’s mostly weigh two to four gigabytes.'],
      ['A LoRA', 'is a small addition to a checkpoint, often of ten to a hundred megabytes: for chosen matrices it holds the difference '
        + 'that further training made, as the product of two thin ones. It works only with the kind of checkpoint it was '
        + 'trained for.'],
      ['DreamBooth', 'teaches a model one new subject, such as your dog, from three to five photographs: they are tied to '
        + 'a rare word, while pictures of the subject’s kind keep the model from forgetting what dogs are in general.'],
    ],
    tryIt: 'Try it: the product of two thin ones',
    tryParagraphs: [
      'Why can two thin matrices hold so much? A picture is a matrix too, one for each colour. Here it is put together of '
      + 'a tall one with r columns and a flat one with r rows, the best there are. The fewer strong patterns something '
      + 'has, the fewer columns it takes, and what further training changes in a model mostly has few.',
    ],
    question: {
      ask: 'A guess first: how many columns until you know what it is?',
      answers: ['2', '8', '32'],
    },
    known: (way, needed, r, off) => `${['Fewer than it takes', 'Yes', 'More than it takes'][way + 1]}: `
      + `${needed === 1 ? 'one column holds' : `${needed} columns hold`} nine tenths of what tells this picture from one flat colour `
      + `(in squares). Now ${r} are shown, off by ${off.toFixed(1)} of 255 on average. Do you know it?`,
    take: 'Take it apart',
    whole: 'The picture',
    product: 'The product of the two',
    rank: (r) => `Columns, r = ${r}`,
    cost: (r, side, off) => `r = ${r}: ${2 * r * side} numbers a colour in place of ${side * side}, `
      + `${Math.round((200 * r) / side)} %; off by ${off.toFixed(1)} of 255 on average.`,
    noPicture: 'There is no picture yet. Choose one under “Into noise”.',
    now: 'What this page can do today',
    nowParagraphs: [
      'A model of your own is a checkpoint of Stable Diffusion 1 or 2 in one file (safetensors or GGUF), chosen here or '
      + 'dropped anywhere on the page. It is copied into this browser’s store, then stands under Settings beside the others, '
      + 'and works offline like them. The command below makes a smaller file of one, or of a folder in diffusers’ layout.',
      'LoRAs in their usual forms are read too: dropped on the page like a model, each then stands under LoRAs in the settings, '
      + 'with a strength of its own. How one is made, here, the next part shows.',
    ],
    add: 'Add a model',
    command: 'opengen import MODEL --type q8 -o model.gguf',
    commandLabel: 'The command that makes such a file',
    here: (name, size) => `In use now: ${name}, ${size}.`,
    trained: 'How the embedded model was trained',
    trainedParagraphs: [
      'Mini learned from pictures that a small program drew: 372 emoji, alone or in pairs, in three sizes and nine places, '
      + 'on coloured grounds and in seven settings, in eight styles, each with a caption. First the autoencoder was '
      + 'trained to pack and unpack them, then the denoising network with the text encoder, in the way shown above: '
      + 'noise a picture, ask for v, correct.',
      'That took some eighteen minutes on one graphics card of a data centre, and an hour or so of a processor core. '
      + 'The scripts are short and run anywhere, more slowly without such a card; they lie under training in the source.',
    ],
    trainingLink: ['The training scripts, step by step', 'docs/training/README.md'],
    formula: [
      'W′ = W + {α / r} · B · A',
      'A LoRA keeps the matrix W as it is and stores two thin matrices: A with r rows and B with r columns. α scales what '
      + 'they add.',
    ],
    papers: [
      ['Ruiz et al. 2022: DreamBooth', 'https://arxiv.org/abs/2208.12242'],
      ['Hu et al. 2021: LoRA', 'https://arxiv.org/abs/2106.09685'],
    ],
  },

  taught: {
    title: 'A new word',
    paragraphs: [
      'A model knows the things it was shown, and none of yours. A few pictures of one and a word that means nothing yet are '
      + 'enough to teach it: that is DreamBooth (Ruiz et al. 2022). Here the model in this tab learns a creature that nobody has '
      + 'ever seen, in front of you, in six steps.',
    ],
    steps: [
      '1. Five pictures, a word and a kind', '2. Before, during, after', '3. What is learnt: two thin matrices', '4. What must not be forgotten',
      '5. Too much of it', '6. Take it anywhere',
    ],
    word: [
      'These are the pictures, drawn by this page, and under each its caption. Every caption has three things in it. “Zorp” is the '
      + 'word: it has no meaning yet, so that none is in the way, and what is learnt can be called by it. “Alien monster” is the '
      + 'kind: something the model does know, and the nearest there is; it only has to learn how a zorp differs from it. And the '
      + 'ground is named, so that it is no part of what “zorp” comes to mean. What all captions share and all pictures show is '
      + 'what the new word takes in.',
    ],
    picture: (caption) => `A drawing: ${caption}`,
    during: [
      'Learning is the step of “A training step” again and again: noise one of the five pictures, ask, see how far off the answer '
      + 'is, and turn some numbers a little the way that makes it better. Only that now the step is taken for good. The pictures below '
      + 'all begin with the same seed; what changes between them is what the model has learnt meanwhile.',
    ],
    learn: 'Teach it',
    howLong: (steps) => `${steps} steps. On two cores of a processor that took about a minute.`,
    ready: (steps, each) => `${steps} steps, about ${each} on this device.`,
    before: 'before',
    after: (step) => `step ${step}`,
    class: (done, all) => `It draws what it knows of the kind: ${done} of ${all}`,
    encode: (done, all) => `The pictures are packed into latents: ${done} of ${all}`,
    step: (step, steps) => `Step ${step} of ${steps}`,
    engine: 'A second engine is made ready',
    looking: 'The last picture is drawn',
    first: 'It has to be taught first: that goes on above, in step 2.',
    learnt: (steps) => `${steps} steps are taken. Body and colour come first; the eyes, which are small, come last and stay rough: more steps in Teach make them better.`,
    thin: [
      'What was turned are not the model’s own numbers. Those stay as they are. Beside a matrix W of it stand two thin ones, B and A, '
      + 'and what passes through W passes through them too; the results are added. That is a LoRA (Hu et al. 2021). At the '
      + 'beginning B is all zeros, so that nothing has changed; learning turns only B and A. Their product has the shape of W, but '
      + 'no more independent rows than their rank r says. A new word needs few.',
    ],
    rank: (r) => `Rank, r = ${r}`,
    usual: 'One of Stable Diffusion 1.5’s attention matrices, to scale.',
    own: (layers, numbers, share) => `Of what was just learnt, to scale: one of its largest. There are ${layers} such pairs, with `
      + `${numbers.toLocaleString('en')} numbers in all; the matrices they stand beside have ${share} times as many.`,
    pair: ({ rows, columns, rank }, { pair, whole }) => `W has ${rows} × ${columns} = ${whole.toLocaleString('en')} numbers, B and A together `
      + `${rank} × (${rows} + ${columns}) = ${pair.toLocaleString('en')}: ${pair < whole ? `${(100 * pair / whole).toFixed(1)} %` : 'more than W itself'}.`,
    keeping: [
      'Who sees nothing but zorps soon takes every alien monster for one, and not only those: all words share the same matrices. So the '
      + 'model drew a few alien monsters itself before it began, and at every step it is asked about one of those as well. What it '
      + 'knew is held where it was; the paper calls this prior preservation. To see what it is good for, leave it out.',
    ],
    question: {
      ask: 'Without those pictures, what will “an alien monster” be, the new word not said at all?',
      answers: ['The old monster', 'The new creature'],
    },
    verdict: (answer, kept, lost) => {
      const gone = lost > 2 * kept;
      return `${answer === Number(gone) ? 'Yes' : 'No'}: the picture is ${Math.round(lost)} of 255 from the one before it learnt; with pictures of the kind it is ${Math.round(kept)}. `
        + `${gone ? 'The kind itself has been overwritten.' : 'This time it held by itself.'}`;
    },
    without: 'Again, without them',
    columns: { before: 'before', with: 'with pictures of the kind', without: 'without' },
    much: [
      'Five pictures are very few, and a model can learn them by heart: then it gives back the pictures instead of the thing. The '
      + 'fewer there are, and the less their captions say, the sooner. Here is the worst case: one drawing, on pink, its caption only “a zorp '
      + 'alien monster”, nothing of the kind beside it, and many steps. Of a thing that is known, another seed makes another picture; '
      + 'of a picture that is known by heart it makes the same again.',
    ],
    tooMuch: 'One drawing, far too often',
    over: ['The drawing', 'The same prompt, another seed', 'Asked for as a neon sign', 'A cat on a blue background'],
    muchDone: (before, after) => `Two seeds, one prompt: they were ${Math.round(before)} of 255 apart before, and are ${Math.round(after)} apart now. `
      + `${after < before / 2 ? 'It has the drawing by heart, pink and all' : 'It has not got the drawing by heart this time'}, and what has nothing to do with it has changed too: that `
      + 'is overfitting. Against it help more and different pictures, captions that name what is around the thing, pictures of the kind, fewer steps; and looking on the way, as here.',
    kept: 'One seed in all six.',
    anywhere: [
      'What was learnt is a small file, beside the model and not in it. It can be added in part, in full, or more than in full, and taken out again: '
      + 'W + s · B · A, with s the strength. The setting below stood in none of the five pictures.',
    ],
    strengths: 'Four strengths',
    strength: (s) => `s = ${s}`,
    drawn: 'At 0 it is the model as it was.',
    save: 'Save the file',
    teach: 'Teach it something of yours',
    docs: ['DreamBooth here: what was measured, and how to do it well', 'docs/dreambooth.md'],
    tooLarge: (name) => `${name} is too large to learn while one looks on. Choose Mini, and this part is live; under Teach larger models learn too, given `
      + 'time and memory.',
    formula: [
      'W′ = W + s · {α / r} · B · A',
      'B has r columns, A has r rows. α / r is fixed by who trains; s by who draws. The gradient is taken of B and A alone.',
      'L = L_{new} + λ · L_{kind}',
      'Each part is the error of a training step, ‖m − y‖² / n: the first with a picture of the new thing and its caption with the new word, the second with '
      + 'a picture of the kind (the paper calls it the class), drawn by the model before it learnt, and the words for the kind alone. λ = 1 here, as in the paper. '
      + 'The optimizer is AdamW. The paper turns all numbers of the denoising network; with LoRA they stay.',
    ],
    papers: [
      ['Ruiz et al. 2022: DreamBooth', 'https://arxiv.org/abs/2208.12242'],
      ['Hu et al. 2021: LoRA', 'https://arxiv.org/abs/2106.09685'],
      ['Loshchilov and Hutter 2017: Decoupled Weight Decay Regularization (AdamW)', 'https://arxiv.org/abs/1711.05101'],
    ],
  },
};
