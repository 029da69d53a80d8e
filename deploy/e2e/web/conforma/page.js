export const page = (path) => "the page of " + path;
