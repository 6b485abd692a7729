"""The hub of the demonstration: a neighbourhood association with a garden, in Italian and English."""

from __future__ import annotations

from typing import Final

from fedcomm.demo.community import Community, Person, Place, Words

GARDEN: Final = Place(
    "garden",
    "Community garden",
    "Thirty-two beds behind the old dairy. Questions, harvests, the watering rota and who has the key "
    "to the shed.\n\nEverybody may read and answer, also from other servers.",
    "en",
    members=("tom", "ines", "amina", "marco", "giulia"),
    moderators=("ines",),
    topics=(
        Words(
            "tom",
            41,
            "A few things that keep coming up:\n\n"
            "- **Water** before nine or after seven, the tank does the rest.\n"
            "- Whoever borrows the wheelbarrow brings it back *the same day*.\n"
            "- Compost: no meat, no citrus, no glossy paper.\n"
            "- New here? Write a line below and somebody will show you around.",
            title="Read me first: how the garden works",
            likes=("ines", "marco", "giulia"),
            pinned=True,
            replies=(
                Words(
                    "amina",
                    38,
                    "Is sawdust fine for the compost? My neighbour has bags of it.",
                    replies=(
                        Words(
                            "tom",
                            37.8,
                            "Yes, if the wood was untreated. Thin layers, or it mats together.",
                            likes=("amina",),
                        ),
                    ),
                ),
            ),
        ),
        Words(
            "ines",
            9.3,
            "We planted six kinds this year and kept notes. So far, from best to worst in the heat:\n\n"
            "1. *Principe Borghese*: did not even notice\n"
            "2. *San Marzano*: fine with mulch\n"
            "3. *Marmande*: good fruit, few of them\n"
            "4. *Brandywine*: sulked, then split\n\n"
            "What are yours doing?",
            title="Tomatoes: which ones survived the heat?",
            likes=("tom", "amina", "marco", "giulia"),
            replies=(
                Words(
                    "marco",
                    9.1,
                    "My San Marzano without mulch: blossom end rot on every second one. With mulch: almost "
                    "none. Same bed, same water. I am convinced.",
                    likes=("ines", "tom"),
                    replies=(
                        Words(
                            "ines",
                            8.9,
                            "That is the best argument for the straw bales so far. Can you bring a photo to "
                            "the meeting?",
                        ),
                        Words("marco", 8.7, "I will. The straw arrives on Thursday, by the way."),
                    ),
                ),
                Words(
                    "amina",
                    8.2,
                    "I only have cherry tomatoes and they survive everything, including my holidays.",
                    likes=("tom", "ines", "giulia"),
                ),
            ),
        ),
        Words(
            "tom",
            4.6,
            "The drip line is in for beds 1 to 16. It runs from six to half past six in the morning; please "
            "do not turn the red tap, it resets the timer.\n\n"
            "Beds 17 to 32 follow when the second valve arrives. Costs so far: **184 €** of the 250 € "
            "that we agreed on.",
            title="Drip irrigation: half the garden is done",
            likes=("ines", "giulia"),
            edited="The drip line is in for beds 1 to 12. It runs from six to half past six in the morning; "
            "please do not turn the red tap, it resets the timer.",
            replies=(
                Words(
                    "giulia",
                    4.4,
                    "Wonderful. Bring me the receipts and you have the money back this week.",
                    likes=("tom",),
                ),
                Words(
                    "amina",
                    3.9,
                    "I did turn the red tap. Sorry! It is set to six again, I checked twice.",
                    likes=("tom", "ines"),
                ),
            ),
        ),
        Words(
            "marco",
            2.2,
            "Found one dead in the lower compost bin this morning. I have removed it and closed the gap with "
            "wire mesh. Until we know where they come from: **no cooked food** in the bins, please.",
            title="The lower compost bin is closed for a week",
            warning="a dead rat",
            replies=(
                Words(
                    "ines",
                    2.0,
                    "Thank you for doing that. I have a stronger mesh at home and can do the back on "
                    "Saturday.",
                    likes=("marco",),
                ),
            ),
        ),
        Words(
            "amina",
            0.8,
            "Holes in the leaves since yesterday, nothing to be seen by day. I went out with a torch: slugs, "
            "dozens. What helps that is not poison? The hedgehogs should stay alive. #garden",
            title="Something is eating the beans",
            likes=("ines",),
            replies=(
                Words(
                    "tom",
                    0.7,
                    "Boards between the rows. They hide under them by day; lift, collect, carry them to the "
                    "meadow. Three mornings and it is quiet.",
                    likes=("amina", "marco"),
                ),
                Words(
                    "ines",
                    0.4,
                    "And water in the morning only. A dry bed at night is a long way for a slug.",
                ),
            ),
        ),
    ),
)

QUARTIERE: Final = Place(
    "quartiere",
    "Vita di quartiere",
    "Quello che succede fra il mercato e la cascina: feste, cantieri, cose da prestare, persone da "
    "conoscere.\n\nSi legge e si risponde anche da altri server.",
    "it",
    members=("giulia", "marco", "amina", "ines", "tom"),
    moderators=("marco",),
    topics=(
        Words(
            "giulia",
            40,
            "Questo spazio è nostro: sta sul server dell'associazione, senza pubblicità e senza algoritmi.\n\n"
            "- Si parla **di cose, non di persone**.\n"
            "- Chi organizza qualcosa apre una discussione e la tiene aggiornata.\n"
            "- Se un messaggio non va, scrivete a me o a @marco.\n\n"
            "Presentatevi pure qui sotto.",
            title="Benvenute e benvenuti: come funziona questo spazio",
            likes=("marco", "amina", "tom"),
            pinned=True,
            replies=(
                Words(
                    "amina",
                    39,
                    "Ciao a tutti! Abito in via Pastrengo da due anni, insegno italiano e coltivo fagioli con "
                    "alterne fortune.",
                    likes=("giulia", "ines"),
                ),
                Words(
                    "tom",
                    36,
                    "Ciao, sono Tom. Scrivo meglio in inglese, ma leggo tutto. Mi trovate all'orto.",
                    likes=("amina", "marco", "giulia"),
                ),
            ),
        ),
        Words(
            "marco",
            11.5,
            "Il Comune ha pubblicato il progetto: marciapiede più largo, otto alberi, ma i posti per le bici "
            "scendono da venti a sei. C'è tempo per le osservazioni fino alla fine del mese.\n\n"
            "Propongo di scriverne una insieme. Chi c'è?",
            title="Il cantiere di via Pastrengo e i posti per le bici",
            likes=("ines", "amina"),
            replies=(
                Words(
                    "ines",
                    11.2,
                    "Ci sono. Ho contato le bici per tre mattine: mai meno di diciassette. Posso preparare la "
                    "tabella.",
                    likes=("marco", "giulia"),
                    replies=(
                        Words(
                            "marco",
                            11.0,
                            "Perfetto, i numeri sono la parte che leggono davvero.",
                            likes=("ines",),
                        ),
                    ),
                ),
                Words(
                    "giulia",
                    10.3,
                    "Come associazione possiamo firmarla. Mandatemi la bozza entro giovedì.",
                ),
            ),
        ),
        Words(
            "amina",
            6.4,
            "Da questa settimana, ogni martedì dalle 18 alle 19:30 nella sala piccola: conversazione per chi "
            "sta imparando l'italiano. Gratis, senza iscrizione, bambini benvenuti.\n\n"
            "Cerco una seconda persona che aiuti, anche solo una volta al mese.",
            title="Conversazione in italiano, il martedì sera",
            likes=("giulia", "tom", "ines", "marco"),
            replies=(
                Words(
                    "tom",
                    6.1,
                    "Io vengo… come allievo! E porto i biscotti.",
                    likes=("amina", "giulia"),
                ),
                Words("giulia", 5.8, "Il secondo martedì del mese posso aiutare io."),
            ),
        ),
        Words(
            "giulia",
            1.6,
            "Sabato dalle 17 nel cortile della cascina. Servono ancora:\n\n"
            "- due tavoli lunghi\n"
            "- qualcuno che sappia montare le luci\n"
            "- dolci, che non bastano mai\n\n"
            "Scrivete qui che cosa portate, così non arriviamo con nove insalate di riso. #festa",
            title="Festa in cortile: chi porta cosa?",
            likes=("marco", "amina", "ines"),
            replies=(
                Words("marco", 1.5, "Tavoli: li prendo in parrocchia venerdì.", likes=("giulia",)),
                Words(
                    "ines",
                    1.1,
                    "Torta di mandorle. E le luci le monto io, con una scala e molta pazienza.",
                    likes=("giulia", "amina"),
                ),
                Words(
                    "amina",
                    0.5,
                    "Insalata di riso!",
                    likes=("marco", "ines", "tom"),
                    replies=(Words("giulia", 0.45, "Lo sapevo.", likes=("amina", "marco")),),
                ),
            ),
        ),
    ),
)

HUB: Final = Community(
    "Cascina Lunga",
    "A neighbourhood association and its garden. Un'associazione di quartiere e il suo orto.",
    "en",
    days=60,
    people=(
        Person(
            "giulia",
            "Giulia Ferraro",
            "Presidente dell'associazione. Rispondo la sera.",
            "it",
            "administrator",
        ),
        Person(
            "marco",
            "Marco Bellini",
            "Bici, verbali e compost, in quest'ordine.",
            "it",
            "moderator",
        ),
        Person("amina", "Amina Diallo", "Teaches Italian, grows beans.", "it"),
        Person("tom", "Tom Whitfield", "Keeper of the shed key. *Ask me about drip lines.*"),
        Person("ines", "Inês Carvalho", "Counts things: bicycles, tomatoes, bees."),
    ),
    places=(GARDEN, QUARTIERE),
)

FRESH_TOPIC: Final = Words(
    "tom",
    0,
    "About twenty, courgettes and cucumbers, in newspaper pots beside the shed. Take what you need until "
    "tomorrow evening; what is left goes into the common bed.",
    title="Seedlings to give away",
)
"""Posted when the second server has begun to follow the garden, so that something travels."""
