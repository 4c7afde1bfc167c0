/** What mini has words for, by heading; written by `python -m training.knows`. */
export const KNOWS = {
  things: {
    'Food': [
      'red apple', 'green apple', 'pear', 'orange', 'lemon', 'banana', 'slice of watermelon', 'grapes',
      'strawberry', 'blueberries', 'cherries', 'peach', 'mango', 'pineapple', 'coconut', 'kiwi', 'tomato',
      'avocado', 'eggplant', 'carrot', 'corn', 'chili pepper', 'bell pepper', 'cucumber', 'broccoli', 'garlic',
      'onion', 'mushroom', 'peanuts', 'bread', 'croissant', 'pretzel', 'pancakes', 'waffle', 'cheese',
      'chicken leg', 'bacon', 'hamburger', 'french fries', 'slice of pizza', 'hot dog', 'sandwich', 'taco',
      'burrito', 'fried egg', 'egg', 'salad', 'popcorn', 'rice ball', 'bowl of noodles', 'spaghetti', 'sushi',
      'ice cream', 'doughnut', 'cookie', 'birthday cake', 'slice of cake', 'cupcake', 'pie', 'chocolate bar',
      'candy', 'lollipop', 'honey pot', 'glass of milk', 'cup of coffee', 'teapot', 'glass of wine', 'cocktail',
      'beer', 'soft drink', 'bubble tea', 'knife',
    ],
    'Animals': [
      'monkey', 'gorilla', 'dog', 'poodle', 'wolf', 'fox', 'raccoon', 'cat', 'lion', 'tiger', 'leopard', 'horse',
      'unicorn', 'zebra', 'deer', 'cow', 'pig', 'sheep', 'goat', 'camel', 'llama', 'giraffe', 'elephant', 'hippo',
      'mouse', 'hamster', 'rabbit', 'squirrel', 'hedgehog', 'bat', 'bear', 'koala', 'panda', 'sloth', 'otter',
      'paw print', 'turkey', 'chicken', 'rooster', 'hatching chick', 'chick', 'bird', 'penguin', 'dove', 'eagle',
      'duck', 'swan', 'owl', 'flamingo', 'peacock', 'parrot', 'frog', 'crocodile', 'turtle', 'snake', 'dragon',
      'long necked dinosaur', 't rex', 'whale', 'dolphin', 'fish', 'tropical fish', 'pufferfish', 'shark',
      'octopus', 'seashell', 'crab', 'lobster', 'shrimp', 'snail', 'butterfly', 'caterpillar', 'ant', 'bee',
      'ladybug', 'spider', 'scorpion',
    ],
    'Faces and fantasy': [
      'smiling face', 'laughing face', 'winking face', 'angel face', 'face with heart eyes', 'silly face',
      'thinking face', 'sleeping face', 'face with mask', 'cowboy', 'party face', 'face with sunglasses',
      'nerd face', 'surprised face', 'screaming face', 'crying face', 'angry face', 'clown', 'devil', 'poop',
      'ghost', 'alien', 'space invader', 'robot', 'halloween pumpkin', 'skull', 'brain', 'eyes', 'mouth',
      'thumbs up', 'waving hand', 'flexed arm', 'santa', 'baby', 'princess', 'wizard', 'mermaid', 'ninja',
    ],
    'Plants': [
      'bouquet of flowers', 'cherry blossom', 'rose', 'sunflower', 'daisy', 'tulip', 'seedling', 'potted plant',
      'fir tree', 'tree', 'palm tree', 'cactus', 'four leaf clover', 'maple leaf', 'christmas tree',
    ],
    'Vehicles': [
      'steam train', 'train', 'bus', 'ambulance', 'fire engine', 'police car', 'taxi', 'car', 'truck', 'tractor',
      'racing car', 'motorcycle', 'bicycle', 'sailboat', 'ship', 'plane', 'helicopter', 'rocket', 'flying saucer',
      'skateboard', 'traffic light', 'anchor',
    ],
    'Places': [
      'house', 'castle', 'factory', 'church', 'tower', 'statue of liberty', 'tent', 'circus tent', 'ferris wheel',
      'volcano', 'snowy mountain', 'desert island',
    ],
    'Sky and weather': [
      'crescent moon', 'full moon', 'sun', 'planet', 'earth', 'star', 'cloud', 'sun behind cloud', 'rain cloud',
      'tornado', 'rainbow', 'lightning', 'snowflake', 'snowman', 'fire', 'drop of water', 'wave', 'umbrella',
    ],
    'Things': [
      'balloon', 'party popper', 'gift', 'ribbon', 'trophy', 'gold medal', 'soccer ball', 'basketball',
      'american football', 'baseball', 'tennis ball', 'volleyball', 'bowling', 'boxing glove', 'dartboard', 'kite',
      'game controller', 'die', 'puzzle piece', 'teddy bear', 'chess pawn', 'paint palette', 'spool of thread',
      'ball of yarn', 'glasses', 'sunglasses', 'necktie', 't shirt', 'jeans', 'dress', 'socks', 'gloves', 'scarf',
      'handbag', 'sneaker', 'high heel', 'boot', 'crown', 'top hat', 'graduation cap', 'cap', 'lipstick', 'ring',
      'diamond', 'bell', 'musical note', 'microphone', 'headphones', 'radio', 'saxophone', 'guitar', 'piano',
      'trumpet', 'violin', 'drum', 'mobile phone', 'telephone', 'laptop', 'camera', 'television', 'watch',
      'alarm clock', 'hourglass', 'battery', 'light bulb', 'candle', 'book', 'books', 'newspaper', 'money bag',
      'envelope', 'package', 'mailbox', 'pencil', 'scissors', 'lock', 'key', 'hammer', 'axe', 'sword',
      'bow and arrow', 'shield', 'wrench', 'gear', 'magnet', 'test tube', 'microscope', 'telescope', 'pill', 'door',
      'bed', 'chair', 'toilet', 'bathtub', 'broom', 'shopping cart', 'bomb', 'crystal ball', 'magic wand',
      'compass',
    ],
    'Symbols': [
      'red heart', 'orange heart', 'yellow heart', 'green heart', 'blue heart', 'purple heart', 'black heart',
      'broken heart', 'hundred points', 'yin yang', 'recycling symbol', 'warning sign', 'question mark',
      'exclamation mark', 'check mark', 'cross mark', 'checkered flag', 'speech bubble',
    ],
  },
  around: {
    'Sizes': [
      'small', 'medium sized', 'large',
    ],
    'Positions': [
      'in the center', 'on the left', 'on the right', 'at the top', 'at the bottom', 'in the top left corner',
      'in the top right corner', 'in the bottom left corner', 'in the bottom right corner',
    ],
    'Two things': [
      'next to', 'and', 'above', 'below',
    ],
    'Backgrounds': [
      'on a white background', 'on a light gray background', 'on a gray background', 'on a black background',
      'on a red background', 'on a dark red background', 'on an orange background', 'on a yellow background',
      'on a beige background', 'on a light green background', 'on a green background', 'on a dark green background',
      'on a turquoise background', 'on a light blue background', 'on a blue background',
      'on a dark blue background', 'on a light purple background', 'on a purple background', 'on a pink background',
      'on a brown background',
    ],
    'Gradients': [
      'on a gradient from red to yellow', 'on a gradient from orange to green',
      'on a gradient from yellow to turquoise', 'on a gradient from green to blue',
      'on a gradient from turquoise to purple', 'on a gradient from blue to pink',
    ],
    'Settings': [
      'at night', 'on grass', 'under water', 'in the snow', 'in the desert', 'at sunset', 'in space',
    ],
    'Styles': [
      'pixel art', 'line drawing', 'silhouette', 'watercolor', 'neon', 'sticker', 'sepia',
    ],
  },
};
