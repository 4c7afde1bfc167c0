/** Which of a model's words lie nearest to one that it does not know. Nothing is said where nothing is near. */

/** Words that people type, and the names that come nearest, best first; a name counts where the model has it. */
const RELATED = `
  sofa couch armchair seat bench stool furniture recliner: bed, chair
  bedroom mattress pillow: bed
  table desk: chair
  kitty kittens kitties tomcat pussycat: cat
  hound pup doggy doggie wolfhound dachshund labrador retriever bulldog terrier corgi husky: dog, poodle
  pony stallion mare foal donkey mule: horse, zebra
  bull ox calf buffalo bison cattle: cow
  piglet boar hog: pig
  lamb ewe ram: sheep
  alpaca: llama
  rat: mouse, hamster
  guinea: hamster
  hare: rabbit
  ape chimp chimpanzee: monkey, gorilla
  cheetah jaguar panther cougar puma lynx: leopard, tiger, lion
  crow raven sparrow robin pigeon seagull gull canary: bird, dove
  goose geese: swan, duck
  ostrich emu: flamingo, bird
  falcon hawk vulture: eagle
  toad: frog
  alligator lizard: crocodile
  serpent cobra viper: snake
  salmon tuna trout goldfish shoal: fish, tropical fish
  squid jellyfish: octopus
  seal walrus: otter, dolphin
  slug: snail
  moth: butterfly
  wasp bumblebee hornet: bee
  beetle insect: ladybug, caterpillar, ant
  worm: caterpillar, snake
  animal animals pet pets: cat, dog, rabbit
  dinosaurs brontosaurus brachiosaurus diplodocus: long necked dinosaur, t rex
  beast monster: dragon, space invader
  ball balls: soccer ball, basketball, tennis ball
  football soccer: soccer ball
  rugby: american football
  tennis: tennis ball
  yarn wool: ball of yarn
  thread string needle: spool of thread
  toy toys doll: teddy bear, balloon, kite
  flower flowers blossom blossoms: bouquet of flowers, rose, sunflower
  lily orchid poppy dandelion buttercup violet lavender iris: tulip, daisy, rose
  roses: rose, bouquet of flowers
  garden: bouquet of flowers, tree
  plant plants fern bush shrub: potted plant, seedling
  vase pot: potted plant, bouquet of flowers
  leaf leaves foliage: maple leaf, four leaf clover
  forest woods jungle wood: tree, fir tree
  oak birch willow maple: tree
  pine spruce: fir tree
  bamboo: panda
  woman lady girl girls women queen: princess, mermaid
  man men guy boy boys person people human king prince: cowboy, wizard, santa
  child children kid kids toddler infant: baby
  mother father mom dad parents: baby
  witch warlock sorcerer sorceress magician mage fairy elf gnome: wizard
  pirate knight warrior soldier samurai: ninja
  vampire zombie demon skeleton: ghost, skull, devil
  astronaut spaceman: alien, rocket
  spaceship spacecraft starship: rocket, flying saucer
  android cyborg: robot
  angel: angel face
  smile smiling: smiling face
  crying tears: crying face
  laughing: laughing face
  boat boats canoe kayak rowboat yacht ferry: sailboat, ship
  submarine: ship, whale
  jet aircraft aeroplane airliner: plane
  copter chopper: helicopter
  van lorry pickup: truck
  cab: taxi
  tram subway metro railway: train, steam train
  scooter moped: motorcycle
  vehicle: car, truck, bus
  cottage cabin hut home building villa barn: house
  palace fortress: castle
  cathedral chapel mosque temple: church
  skyscraper lighthouse: tower
  city town village street: house, church, castle
  hill hills mountains alps peak: snowy mountain
  beach coast shore seaside: desert island, wave
  ocean sea lake river: wave, under water
  sky: cloud, rainbow, sun
  sunrise dawn dusk: at sunset
  moonlight: crescent moon
  storm thunder thunderstorm: lightning, rain cloud
  hurricane cyclone whirlwind: tornado
  snow ice winter: snowflake, in the snow
  campfire bonfire flames torch: fire
  lava: volcano
  galaxy universe cosmos: in space, planet
  mars jupiter venus: planet
  world: earth
  grape: grapes
  berry berries blueberry raspberry blackberry: strawberry, blueberries
  cherry: cherries
  lime grapefruit citrus: lemon, orange
  nectarine apricot plum: peach
  melon: slice of watermelon
  fruit fruits: red apple, banana, strawberry
  vegetable vegetables: carrot, broccoli, tomato
  potato potatoes: carrot, french fries
  cabbage lettuce spinach: salad, broccoli
  zucchini pickle: cucumber
  pepper: bell pepper, chili pepper
  peanut nut nuts: peanuts
  toast baguette bun roll: bread
  pancake: pancakes
  sausage hotdog: hot dog
  steak meat: bacon, chicken leg
  noodle soup: bowl of noodles
  rice: rice ball
  chips: french fries
  birthday: birthday cake
  sweets: candy, lollipop
  tea: teapot, cup of coffee
  cafe espresso cappuccino latte: cup of coffee
  juice lemonade cola coke: soft drink
  champagne: glass of wine
  martini: cocktail
  pub pint ale: beer
  dessert: ice cream, cupcake
  food: slice of pizza, hamburger
  breakfast: fried egg, croissant
  boots shoe shoes: sneaker, boot
  heels: high heel
  skirt gown: dress
  pants trousers: jeans
  sweater hoodie jacket coat: t shirt
  hat hats: top hat, cap
  purse bag backpack: handbag
  jewel jewels gemstone crystal: diamond, crystal ball
  necklace bracelet earring: ring
  tiara: crown
  makeup: lipstick
  eyeglasses spectacles: glasses
  sax: saxophone
  banjo ukulele cello bass: guitar, violin
  keyboard organ: piano
  song music melody: musical note, guitar
  earphones headset: headphones
  mic: microphone
  smartphone iphone cellphone: mobile phone
  pc monitor screen: laptop
  photo: camera
  movie film: television
  timer: hourglass, alarm clock
  money coin coins cash gold dollar: money bag
  mail email: envelope, mailbox
  pen crayon: pencil
  paint painting brush paintbrush: paint palette
  novel dictionary notebook: book
  library: books
  blade dagger spear: sword, knife
  hatchet: axe
  arrow bow: bow and arrow
  screwdriver tool tools: wrench, hammer
  spaceflight launch: rocket
  medicine pills drug: pill
  bath tub shower: bathtub
  hearts love: red heart
  stars: star
  valentine: red heart, rose
  halloween: halloween pumpkin, ghost
  christmas xmas: christmas tree, santa
  party: party popper, balloon, party face
  gifts presents: gift
  medal prize award: gold medal, trophy
  skate skateboarding: skateboard
  game games: game controller, die
  chess: chess pawn
  jigsaw: puzzle piece
  magic spell: magic wand, wizard
  poo turd: poop
  hello goodbye: waving hand
  hand hands: waving hand, thumbs up
  arm biceps: flexed arm
  eye: eyes
  lips kiss: mouth
`;

const RELATED_WORDS = new Map(RELATED.trim().split('\n').flatMap((line) => {
  const [words, names] = line.trim().split(': ');
  return words.split(' ').map((word) => [word, names.split(', ')]);
}));

/** English words that are one letter from a name and mean something else. */
const NO_TYPOS = new Set((''
  + 'alden align allen ample apply babes baird baron baton batter batters beacon beard bella belle belly benny '
  + 'berger bird bloom boast boiling boobs boost booth booty bowing braid braun breed brian broad brood brooks '
  + 'bundy burner cameo carmel caste chain check chico chill chilly choir choking chuck cindy clair clever cloak '
  + 'closer clout commuter controlled cooke cooling cover crowd crowe daily dairy danger defer deter devin digger '
  + 'donor dover drove factor factors fired flake flaming flare flies frame frees fried gaelic game glover graces '
  + 'grades graphs graves groves hamper heard hears hearth hearty horde horne housed inland kuala latter leonard '
  + 'lester lighting litter locke manga month moose moron morse orion other paddock pasha paste peace pearl perch '
  + 'phoned phony piazza place plank plans plate poole preach prevent prone psalm rabbi racket ramon ratio ringo '
  + 'rocked rocker rosen rosie roster rouse sacks salah santo scanner scare scares scars scary seeding shack '
  + 'shake shall share sheen sheer shelf shelly shift shire shocks short skill sleep slider slots smell smiled '
  + 'snare spanned spark speaker spinner stair stake stare starr start steep stocks sucks sweat swell swept swore '
  + 'sworn tenth three towed towel track trail trait traitor trent trick truce trunk tryin twain waive waved '
  + 'weave while whine whole wolfe wolff woolf').split(' '));

/**
 * @param {string} word of one or more words, lower-case
 * @param {string[]} names what the model knows: names, their plurals and other names
 * @param {(name: string) => boolean} known
 * @returns {string[]} at most three names
 */
export function nearest(word, names, known) {
  const related = [word, ...singulars(word)].map((form) => RELATED_WORDS.get(form)).find(Boolean);
  if (related) return related.filter(known).slice(0, 3);
  const meant = meantBy(word, names);
  return meant ? [meant] : [];
}

/** Whether a word is English that this table has, so that it need not be looked for in other languages. */
export const isRelated = (word) => [word, ...singulars(word)].some((form) => RELATED_WORDS.has(form));

/** What a word may be the plural of. */
export function singulars(word) {
  const forms = [];
  if (word.endsWith('ies')) forms.push(`${word.slice(0, -3)}y`);
  if (word.endsWith('es')) forms.push(word.slice(0, -2));
  if (word.endsWith('s') && !word.endsWith('ss')) forms.push(word.slice(0, -1));
  return forms;
}

/** The name that someone meant who typed this: it sounds the same, or has one letter else; undefined where that is a guess. */
function meantBy(word, names) {
  if (word.length < 4 || NO_TYPOS.has(word)) return undefined;
  const close = (name) => word.length > 4 && Math.abs(name.length - word.length) <= 1;
  const letters = (name) => (soundOf(name) === soundOf(word) ? 0.5 : close(name) ? distance(word, name) : Infinity);
  const far = (name) => (name[0] === word[0] && name.length > 3 ? letters(name) : Infinity);
  const near = names.map((name) => [far(name), name]).filter(([steps]) => steps <= 1).sort(([a], [b]) => a - b);
  return near.length === 1 || near[0]?.[0] < near[1]?.[0] ? near[0][1] : undefined;
}

const sounds = new Map();

/** Letters that are often taken for each other made one: "elefant". */
function soundOf(word) {
  if (!sounds.has(word)) {
    sounds.set(word, word.replace(/ph/g, 'f').replace(/ck|c/g, 'k').replace(/y/g, 'i').replace(/(.)\1/g, '$1'));
  }
  return sounds.get(word);
}

/** How many letters are added, left out, changed or swapped with their neighbour (optimal string alignment). */
export function distance(a, b) {
  let before = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + Number(a[i - 1] !== b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j], before[j - 2] + 1);
    }
    [before, last] = [last, row];
  }
  return last[b.length];
}
