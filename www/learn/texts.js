/**
 * Every word of the view "How it works", in one place: a translation is this file in another language.
 * Functions take numbers and names that stand inside a sentence.
 */

const two = (value) => value.toFixed(2);
const three = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(3));

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
  old: (button) => `What is shown was made before you changed this. “${button}” makes it anew.`,

  into: {
    title: 'Into noise',
    paragraphs: [
      'A diffusion model learns from pictures that were spoiled on purpose. A picture is faded a little and some random '
      + 'noise is added, again and again, until after T steps hardly anything but noise is left. Many such small steps '
      + 'amount to one large one, so any stage can be reached in one go: move the slider.',
      'What is mixed are shares of the picture (the signal) and of the noise. Their squares always add up to one, so '
      + 'the mixture stays equally strong on the whole way.',
      'Stable Diffusion does this not with pixels but with latents: an autoencoder first packs the picture into a '
      + 'much smaller grid with a few numbers per cell, which saves most of the work. Those numbers are no colours; '
      + 'they are shown here in colours fitted to them.',
    ],
    formula: [
      'xₜ = √ᾱₜ · x₀ + √(1 − ᾱₜ) · ε,  ε ~ N(0, I)',
      'x₀ is the clean picture, xₜ the noised one, ε the noise. ᾱₜ is the product of 1 − β over all steps up to t; the '
      + 'model’s schedule lists the βs. The signal’s share is √ᾱₜ, the noise’s √(1 − ᾱₜ).',
    ],
    papers: [
      ['Ho et al. 2020: Denoising Diffusion Probabilistic Models', 'https://arxiv.org/abs/2006.11239'],
      ['Rombach et al. 2022: High-Resolution Image Synthesis with Latent Diffusion Models',
        'https://arxiv.org/abs/2112.10752'],
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
      'The model was trained on one question only: given a noised picture and the prompt, which noise is in it? '
      + 'Whoever can answer that can also guess the finished picture, by taking the noise away.',
      'At first the guess is blurry, an average of everything that could be there. So only a part of the noise is '
      + 'removed, and the model is asked again with a slightly cleaner picture. After some steps the guess and the '
      + 'picture have become the same.',
      'Guidance makes the prompt count for more: the model answers twice, with and without the prompt, and the '
      + 'difference between the two answers is enlarged.',
    ],
    formula: [
      'x̂₀ = (xₜ − √(1 − ᾱₜ) · ε̂) / √ᾱₜ',
      'ε̂ is the noise the model predicts, x̂₀ its guess of the finished latents. Models of the v kind predict '
      + 'v = √ᾱₜ · ε − √(1 − ᾱₜ) · x₀ instead; ε̂ and x̂₀ follow from it.',
      'Every sampler here takes the step next = a · x + b · m + c · z, with the latents x, the model’s output m, fresh '
      + 'noise z where the sampler adds any, and numbers a, b, c from the schedule.',
      'm = m∅ + w · (m(prompt) − m∅)',
      'is classifier-free guidance: m∅ is the answer without the prompt, w the guidance. σ = √((1 − ᾱ) / ᾱ) is the '
      + 'noise level.',
    ],
    papers: [
      ['Ho and Salimans 2022: Classifier-Free Diffusion Guidance', 'https://arxiv.org/abs/2207.12598'],
      ['Ho et al. 2020: Denoising Diffusion Probabilistic Models', 'https://arxiv.org/abs/2006.11239'],
    ],
    start: 'Start from',
    fromNoise: 'pure noise',
    fromPicture: 'the noised picture above',
    fromPictureAt: (t) => `the noised picture above, t = ${t}`,
    steps: 'Steps',
    sampler: 'Sampler',
    samplers: { ddim: 'DDIM', euler: 'Euler', 'euler-a': 'Euler ancestral' },
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
    decode: 'Show latents as the decoder would draw them',
    input: 'What goes in',
    noise: 'Noise the model sees',
    clean: 'Its guess of the finished picture',
    after: 'After the step',
    finished: 'The finished picture',
    start0: 'Nothing has been removed yet. Take a step.',
    numbers: (i, n, { timestep, sigma, signal, noiseShare }) =>
      `Step ${i} of ${n} · timestep ${Math.round(timestep)} · σ ${three(sigma)} · signal ${two(signal)} · noise ${two(noiseShare)}`,
    coefficients: ({ nextX, nextModel, nextNoise }) =>
      `next = ${three(nextX)} · x ${nextModel < 0 ? '−' : '+'} ${three(Math.abs(nextModel))} · m`
      + (nextNoise ? ` + ${three(nextNoise)} · z` : ''),
    lane: { promptA: 'First prompt', promptB: 'Second prompt', guidance: (w) => `Guidance ${w}` },
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
      + 'place pays to a token decides how much of that token’s meaning it takes in. Point at a word to see where it was '
      + 'looked at, or at the picture to see which words that place looked at. All maps have one scale.',
      'Much of the attention goes to the tokens around the words, which begin, end and fill up the text: that is where '
      + 'a place looks that needs no single word. And a word that is hardly looked at may still count, for its '
      + 'neighbours have heard of it in the text encoder: “apple” may bring the red along.',
    ],
    formula: [
      'A = softmax(Q · Kᵀ / √d)',
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
    done: 'Point at a word, or at the picture.',
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
      'The prompt says what; the noise a run starts from decides the rest: where things are, which way they face, what '
      + 'the prompt left open. A seed is the number the noise is drawn from, so the same seed and settings give the '
      + 'same picture again.',
      'Between two noises lie other noises, and pictures change gradually on the way. The way is an arc and not a '
      + 'straight line: halfway along a straight line the noise would be too weak, unlike any the model has seen.',
    ],
    formula: [
      'slerp(a, b, s) = sin((1 − s)·θ) / sin θ · a + sin(s·θ) / sin θ · b',
      'θ is the angle between a and b. Between two prompts the same is done with the encoded tokens, one by one.',
    ],
    papers: [['Ho et al. 2020: Denoising Diffusion Probabilistic Models', 'https://arxiv.org/abs/2006.11239']],
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
    frame: 'Picture shown',
    play: 'Play',
    pause: 'Pause',
    save: 'Save as APNG',
    working: (i, n) => `Picture ${i} of ${n}`,
    done: (n) => `${n} pictures`,
    alt: (share) => `The picture ${Math.round(share * 100)} percent of the way`,
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
      'L = ‖ m − y ‖² / n',
      'm is the model’s answer, y what it should have been, each of n numbers: ε, or v = √ᾱₜ · ε − √(1 − ᾱₜ) · x₀. The '
      + 'gradient of L with respect to the model’s weights makes the step: algorithm 1 of Ho et al. 2020. The caption is '
      + 'left out once in a while, one time in ten for Mini, so that guidance has an answer without it.',
    ],
    papers: [
      ['Ho et al. 2020: Denoising Diffusion Probabilistic Models, algorithm 1', 'https://arxiv.org/abs/2006.11239'],
      ['Salimans and Ho 2022: Progressive Distillation (v)', 'https://arxiv.org/abs/2202.00512'],
      ['Ho and Salimans 2022: Classifier-Free Diffusion Guidance', 'https://arxiv.org/abs/2207.12598'],
    ],
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
    now: 'What this page can do today',
    nowParagraphs: [
      'A model of your own is added as a GGUF file, chosen here or dropped anywhere on the page. It is copied into this '
      + 'browser’s store, then stands under Settings beside the others, and works offline like them. The command below '
      + 'makes such a file of a folder in diffusers’ layout, for models of the Stable Diffusion 1.x and 2.x families.',
      'LoRAs and single-file checkpoints cannot be read yet.',
    ],
    add: 'Add a model',
    command: 'opengen quantize DIFFUSERS_FOLDER --type q8_0 --out model.gguf',
    commandLabel: 'The command that makes such a file',
    here: (name, size) => `In use now: ${name}, ${size}.`,
    trained: 'How the embedded model was trained',
    trainedParagraphs: [
      'Mini learned from pictures that a small program drew: 372 emoji, alone or in pairs, in three sizes and nine places, '
      + 'on coloured grounds and in seven settings, in eight styles, each with a caption. First the autoencoder was '
      + 'trained to pack and unpack them, then the denoising network with the text encoder, in the way shown above: '
      + 'noise a picture, ask which noise it was, correct.',
      'That took some hours on two processor cores, without a graphics card. The scripts are short and run anywhere, so '
      + 'you can train a model of your own kind.',
    ],
    trainingLink: ['The training scripts, step by step', 'docs/training/README.md'],
    formula: [
      'W′ = W + (α / r) · B · A',
      'A LoRA keeps the matrix W as it is and stores two thin matrices: A with r rows and B with r columns. α scales what '
      + 'they add.',
    ],
    papers: [
      ['Ruiz et al. 2022: DreamBooth', 'https://arxiv.org/abs/2208.12242'],
      ['Hu et al. 2021: LoRA', 'https://arxiv.org/abs/2106.09685'],
    ],
  },
};
