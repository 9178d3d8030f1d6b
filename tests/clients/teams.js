// Reads the bodies of requests to a workflow from a file, and their cards with the vendor's library as a client that knows version
// 1.4. Prints for each what the library complains of, and the texts that it read.

"use strict";
const { readFileSync } = require("fs");
const { AdaptiveCard, SerializationContext, Versions } = require("adaptivecards/dist/adaptivecards.js");

const texts = (item) => {
  const inside = Array.from({ length: item.getItemCount?.() ?? item.getInlineCount?.() ?? 0 }, (_, n) =>
    item.getItemAt ? item.getItemAt(n) : item.getInlineAt(n)
  );
  return [...(item.text === undefined ? [] : [item.text]), ...inside.flatMap(texts)];
};

const read = (body) => {
  const context = new SerializationContext(Versions.v1_4);
  const card = new AdaptiveCard();
  card.parse(body.attachments[0].content, context);
  const complaints = Array.from({ length: context.eventCount }, (_, n) => context.getEventAt(n).message);
  complaints.push(...card.validateProperties().validationEvents.map((event) => event.message));
  return { complaints, texts: texts(card) };
};

console.log(JSON.stringify(JSON.parse(readFileSync(process.argv[2], "utf8")).map(read)));
