"""Where the demo's people live: names, money, and the shops they pay at. All persons are invented."""

from dataclasses import dataclass

from iso4217 import Currency


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """A country's names, currency and merchants.

    ``salary`` is a usual net month in whole currency units, from low to high; ``note`` the smallest bank note that
    cash machines give. ``merchants`` are by category.
    """

    code: str
    currency: Currency
    locale: str
    timezone: str
    salary: tuple[int, int]
    note: int
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    merchants: dict[str, tuple[str, ...]]
    landlord: str
    employers: tuple[str, ...]
    checking: str
    savings: str
    card: str


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


def _shops(**categories: str) -> dict[str, tuple[str, ...]]:
    return {category: _names(names) for category, names in categories.items()}


COUNTRIES: tuple[Country, ...] = (
    Country(
        code="CZ",
        currency=Currency("CZK"),
        locale="cs",
        timezone="Europe/Prague",
        salary=(24_000, 68_000),
        note=200,
        first_names=_names("Jana|Petr|Lucie|Tomáš|Eva|Jakub|Tereza|Ondřej|Klára|Martin|Veronika|Šimon"),
        last_names=_names(
            "Nováková|Dvořák|Svobodová|Černý|Procházková|Kučera|Veselá|Horák|Němcová|Pokorný|Marek|Beneš"
        ),
        merchants=_shops(
            groceries="Potraviny U Mostu|Tržnice Jih|Samoobsluha Lípa|Farmářský krám",
            restaurants="Hostinec Na Růžku|Bistro Slunce|Kavárna Letná|Pizzerie Roma",
            fuel="Čerpací stanice Sever|Benzina Východ",
            transport="Městská doprava|Taxi Rychle|Vlaky a dráhy",
            online="Knihy Online|Elektro Svět|Móda.example|Dům a zahrada",
            leisure="Kino Hvězda|Plavecký bazén|Divadlo Pod Věží",
            health="Lékárna U Anděla|Zubní ordinace",
            utilities="Elektrárna Střed|Vodárna města",
            phone="Mobil Plus",
            insurance="Pojišťovna Jistota",
            subscriptions="Filmotéka|Hudba Bez Hranic|Fitness Centrum",
            travel="Hotel Pod Horou|Letenky Expres|Penzion U Moře",
        ),
        landlord="Správa domu Vinohradská",
        employers=_names("Strojírny Morava|Nemocnice Sever|Softwarový dům|Základní škola"),
        checking="Běžný účet",
        savings="Spořicí účet",
        card="Kreditní karta",
    ),
    Country(
        code="DE",
        currency=Currency("EUR"),
        locale="de",
        timezone="Europe/Berlin",
        salary=(1_700, 4_200),
        note=10,
        first_names=_names("Anna|Lukas|Marie|Jonas|Lena|Felix|Sophie|Paul|Katharina|Moritz|Jürgen|Greta"),
        last_names=_names("Müller|Schneider|Fischer|Weber|Wagner|Becker|Hoffmann|Schäfer|Koch|Krüger|Wolf|Groß"),
        merchants=_shops(
            groceries="Markt am Eck|Frische Kiste|Biohof Sonnental|Kaufhalle Mitte",
            restaurants="Gasthaus Linde|Café Morgenrot|Trattoria Bella|Imbiss am Bahnhof",
            fuel="Tankstelle Nordring|Autohof Süd",
            transport="Stadtwerke Verkehr|Taxi Zentrale|Bahn Regional",
            online="Bücherwelt.example|Technik Direkt|Modehaus Online|Garten und Heim",
            leisure="Kino Astoria|Kletterhalle West|Stadttheater",
            health="Apotheke am Markt|Zahnarztpraxis Dr. Licht",
            utilities="Stadtwerke Energie|Wasserwerk Nord",
            phone="Funknetz Mobil",
            insurance="Versicherung Alte Brücke",
            subscriptions="Filmwelt|Klangstrom|Fitness Park",
            travel="Hotel Seeblick|Flugreisen Komet|Ferienhof Alm",
        ),
        landlord="Hausverwaltung Berger",
        employers=_names("Maschinenbau Hansa|Klinikum Ost|Datenhaus|Schulamt"),
        checking="Girokonto",
        savings="Tagesgeld",
        card="Kreditkarte",
    ),
    Country(
        code="FR",
        currency=Currency("EUR"),
        locale="fr",
        timezone="Europe/Paris",
        salary=(1_500, 3_600),
        note=10,
        first_names=_names("Camille|Louis|Chloé|Hugo|Manon|Gabriel|Élodie|Antoine|Zoé|Mathieu|Inès|François"),
        last_names=_names("Martin|Bernard|Dubois|Laurent|Moreau|Lefèvre|Roux|Girard|Bonnet|Mercier|Faure|Lambert"),
        merchants=_shops(
            groceries="Épicerie du Coin|Marché Saint-Paul|Halles du Sud|Le Panier Vert",
            restaurants="Brasserie du Port|Café des Arts|Crêperie Bleue|Chez Mireille",
            fuel="Station du Rond-Point|Relais Autoroute",
            transport="Métro et Bus|Taxi Bleu|Trains Régionaux",
            online="Librairie en Ligne|Électro Express|Mode Facile|Maison Douce",
            leisure="Cinéma Lumière|Piscine Municipale|Théâtre du Parc",
            health="Pharmacie Centrale|Cabinet Dentaire",
            utilities="Énergie Loire|Eaux de la Ville",
            phone="Mobile Libre",
            insurance="Assurance du Midi",
            subscriptions="Ciné Chez Soi|Musique Sans Fin|Salle de Sport",
            travel="Hôtel de la Plage|Vols Horizon|Gîte des Pins",
        ),
        landlord="Régie Immobilière Sud",
        employers=_names("Ateliers du Rhône|Hôpital Saint-Jean|Studio Numérique|Mairie"),
        checking="Compte courant",
        savings="Livret",
        card="Carte de crédit",
    ),
    Country(
        code="ES",
        currency=Currency("EUR"),
        locale="es",
        timezone="Europe/Madrid",
        salary=(1_200, 2_900),
        note=10,
        first_names=_names("Lucía|Pablo|Martina|Hugo|Carmen|Álvaro|Sofía|Diego|Elena|Javier|Nuria|Íñigo"),
        last_names=_names("García|Fernández|López|Martínez|Sánchez|Gómez|Ruiz|Díaz|Moreno|Muñoz|Ortega|Vidal"),
        merchants=_shops(
            groceries="Mercado Central|Frutería Sol|Supermercado Norte|La Despensa",
            restaurants="Bar La Esquina|Cafetería Mar|Mesón del Rey|Pizzería Napoli",
            fuel="Gasolinera Este|Estación Ruta 7",
            transport="Metro Urbano|Taxi Ciudad|Trenes Costa",
            online="Libros.example|Tecno Rápida|Moda Viva|Hogar Fácil",
            leisure="Cine Real|Piscina Olímpica|Teatro Nuevo",
            health="Farmacia Plaza|Clínica Dental",
            utilities="Energía Ibérica|Aguas del Ebro",
            phone="Móvil Claro y Simple",
            insurance="Seguros Levante",
            subscriptions="Cine en Casa|Música Total|Gimnasio Activo",
            travel="Hotel Bahía|Vuelos Cometa|Casa Rural Olivo",
        ),
        landlord="Inmobiliaria Levante",
        employers=_names("Talleres Duero|Hospital del Mar|Consultora Digital|Ayuntamiento"),
        checking="Cuenta corriente",
        savings="Cuenta de ahorro",
        card="Tarjeta de crédito",
    ),
    Country(
        code="GB",
        currency=Currency("GBP"),
        locale="en_GB",
        timezone="Europe/London",
        salary=(1_500, 3_900),
        note=10,
        first_names=_names("Olivia|George|Amelia|Harry|Isla|Oliver|Freya|Callum|Grace|Rhys|Niamh|Arthur"),
        last_names=_names("Smith|Jones|Taylor|Brown|Williams|Davies|Evans|Walker|Wright|Hughes|Clarke|O'Neill"),
        merchants=_shops(
            groceries="Corner Grocer|Green Basket|High Street Foods|Harbour Market",
            restaurants="The Red Fox|Tea & Toast|Curry Garden|Fish Bar",
            fuel="Northgate Fuel|Motorway Services",
            transport="City Transit|Black Cabs Co|Coast Rail",
            online="Paper & Page|Gadget Barn|Thread Online|Home Nest",
            leisure="Regal Cinema|Leisure Pool|Playhouse",
            health="Village Pharmacy|Dental Practice",
            utilities="Albion Energy|Riverside Water",
            phone="Ringtone Mobile",
            insurance="Oak Insurance",
            subscriptions="Box Set TV|Tune Stream|Iron Gym",
            travel="Seaview Hotel|Swift Air|Lakeside Cottage",
        ),
        landlord="Maple Lettings",
        employers=_names("Tyne Engineering|County Hospital|Pixel Works|City Council"),
        checking="Current account",
        savings="Savings account",
        card="Credit card",
    ),
    Country(
        code="US",
        currency=Currency("USD"),
        locale="en_US",
        timezone="America/New_York",
        salary=(2_600, 6_800),
        note=20,
        first_names=_names("Emma|Liam|Ava|Noah|Mia|Ethan|Harper|Mason|Sofia|Logan|Maya|Caleb"),
        last_names=_names("Johnson|Miller|Davis|Wilson|Anderson|Thomas|Harris|Nguyen|Ramirez|Carter|Patel|Brooks"),
        merchants=_shops(
            groceries="Main Street Market|Fresh Acres|Corner Deli|Harvest Foods",
            restaurants="Blue Plate Diner|Taco Stand|Bean Street Coffee|Noodle House",
            fuel="Eastside Gas|Interstate Fuel",
            transport="Metro Card|Ride Share Co|Commuter Rail",
            online="Page Turner Books|Circuit City Online|Denim Depot|Porch & Patio",
            leisure="Bijou Theater|Bowling Lanes|Ballpark",
            health="Family Pharmacy|Bright Dental",
            utilities="Hudson Power|City Water",
            phone="Liberty Wireless",
            insurance="Prairie Insurance",
            subscriptions="Stream Box|Radio Free Cloud|Gold Barbell Gym",
            travel="Beach House Inn|Skyway Airlines|Canyon Lodge",
        ),
        landlord="Elm Street Properties",
        employers=_names("Lakefront Manufacturing|Mercy Hospital|Byte Foundry|School District"),
        checking="Checking",
        savings="Savings",
        card="Credit card",
    ),
    Country(
        code="PL",
        currency=Currency("PLN"),
        locale="pl",
        timezone="Europe/Warsaw",
        salary=(3_900, 11_000),
        note=50,
        first_names=_names("Zofia|Jan|Hanna|Antoni|Maja|Jakub|Alicja|Łukasz|Oliwia|Piotr|Ewa|Stanisław"),
        last_names=_names("Kowalczyk|Wójcik|Mazur|Krawczyk|Zając|Król|Wróbel|Jabłoński|Dudek|Sikora|Baran|Górski"),
        merchants=_shops(
            groceries="Sklep Pod Lipą|Targ Miejski|Delikatesy Rynek|Zielony Koszyk",
            restaurants="Bar Mleczny|Kawiarnia Wisła|Pierogarnia|Pizzeria Etna",
            fuel="Stacja Zachód|Paliwa Plus",
            transport="Komunikacja Miejska|Taxi Miasto|Koleje Lokalne",
            online="Książki Online|Elektro Dom|Moda Teraz|Ogród i Dom",
            leisure="Kino Bajka|Basen Delfin|Teatr Stary",
            health="Apteka Zdrowie|Gabinet Dentystyczny",
            utilities="Energia Bałtyk|Wodociągi",
            phone="Telefon Mobilny",
            insurance="Ubezpieczenia Tarcza",
            subscriptions="Filmy Bez Reklam|Muzyka Na Co Dzień|Siłownia Moc",
            travel="Hotel Tatry|Linie Lotnicze Orlik|Pensjonat Mazury",
        ),
        landlord="Zarządca Nieruchomości Dom",
        employers=_names("Zakłady Mechaniczne|Szpital Miejski|Dom Oprogramowania|Szkoła nr 5"),
        checking="Konto osobiste",
        savings="Konto oszczędnościowe",
        card="Karta kredytowa",
    ),
    Country(
        code="JP",
        currency=Currency("JPY"),
        locale="ja",
        timezone="Asia/Tokyo",
        salary=(210_000, 480_000),
        note=1_000,
        first_names=_names("Yui|Haruto|Aoi|Ren|Sakura|Sota|Hina|Yuto|Mei|Daiki|Rin|Kenta"),
        last_names=_names("Sato|Suzuki|Takahashi|Tanaka|Ito|Watanabe|Yamamoto|Nakamura|Kobayashi|Kato|Mori|Abe"),
        merchants=_shops(
            groceries="Midori Market|Asahi Store|Konbini Corner|Umi Foods",
            restaurants="Ramen Hoshi|Sushi Nami|Kissaten Yuki|Soba Ya",
            fuel="Kita Fuel|Expressway Stand",
            transport="City Rail Card|Taxi Sakura|Night Bus",
            online="Hon Online|Denki Direct|Fuku Shop|Ie to Niwa",
            leisure="Cinema Hikari|Sento Matsu|Karaoke Box",
            health="Pharmacy Aoba|Dental Clinic",
            utilities="Kanto Power|Water Bureau",
            phone="Denwa Mobile",
            insurance="Fuji Mutual Insurance",
            subscriptions="Anime Stream|Oto Music|Budo Gym",
            travel="Ryokan Yama|Tsuru Airlines|Onsen Inn",
        ),
        landlord="Higashi Housing",
        employers=_names("Seimitsu Works|Chuo Hospital|Kumo Software|Ward Office"),
        checking="Ordinary deposit",
        savings="Savings deposit",
        card="Credit card",
    ),
)
