// Emoji stay characters: as pictures they would be fetched from elsewhere.
export default { options: { emoji: { shortcode: false, unicode: false } } };
