"""Names the demo is made of. All people and goods are invented."""

FIRST_NAMES = (
    "Ana Beatriz Bruno Caio Camila Carla Cauã Cecília Clara Dalva Daniel Davi Diego Eduarda Elisa Enzo Fabiana Felipe "
    "Fernanda Gabriel Gabriela Giovana Gustavo Heitor Helena Henrique Iara Igor Isabela Ísis Jéssica João Jonas Josué "
    "Júlia Juliana Kauê Lara Larissa Laura Leandro Letícia Lívia Lorena Lucas Luísa Luiz Maitê Manuela Marcelo Márcia "
    "Maria Mariana Marina Mateus Melissa Miguel Murilo Natália Nicole Otávio Paulo Pedro Rafael Raissa Renata Renato "
    "Ricardo Roberta Rodrigo Samuel Sérgio Simone Sofia Tainá Tatiane Teresa Thiago Vanessa Vera Vinícius Vitor Yasmin"
).split()
LAST_NAMES = (
    "Albuquerque Almeida Alves Andrade Araújo Azevedo Barbosa Barreto Barros Batista Borges Brandão Brito Campos Cardoso "
    "Carvalho Castro Coelho Corrêa Costa Couto Cunha Dias Duarte Esteves Falcão Farias Fernandes Ferreira Figueiredo "
    "Fonseca Freitas Gomes Gonçalves Guimarães Leal Leite Lima Lins Lopes Macedo Machado Magalhães Marques Martins Matos "
    "Medeiros Melo Mendes Menezes Miranda Monteiro Moraes Moreira Moura Nascimento Neves Nogueira Novaes Nunes Oliveira "
    "Pacheco Peixoto Pereira Pimentel Pinto Prado Prates Queiroz Ramos Rangel Rezende Ribeiro Rocha Sales Sampaio Santana "
    "Santos Sarmento Siqueira Soares Sousa Tavares Teixeira Teles Toledo Vargas Vasconcelos Vieira Xavier"
).split()
STREETS = (
    "Rua das Acácias,Rua dos Ipês,Avenida Brasil,Rua Sete de Setembro,Rua Tiradentes,Avenida Getúlio Vargas,"
    "Rua Dom Pedro II,Rua das Palmeiras,Rua Quinze de Novembro,Avenida Beira-Mar,Rua São José,Rua do Comércio,"
    "Travessa das Mangueiras,Rua Santos Dumont,Alameda dos Jacarandás,Rua Castro Alves,Rua Cecília Meireles,"
    "Avenida Independência,Rua Padre Anchieta,Rua Machado de Assis"
).split(",")
DISTRICTS = "Centro,Jardim América,Boa Vista,Vila Nova,Santa Luzia,Bela Vista,São Francisco,Alto da Glória".split(",")

# (code, name, NCM, centavos from, to, grams, options)
Kind = tuple[str, str, str, int, int, int, tuple[tuple[str, tuple[str, ...]], ...]]
_COLOURS = ("Cru", "Areia", "Terracota", "Anil", "Mate", "Grafite", "Açafrão", "Branco")
_BEDS = ("Solteiro", "Casal", "Queen", "King")
CATEGORIES: tuple[tuple[str, str, tuple[Kind, ...]], ...] = (
    (
        "cama",
        "Cama",
        (
            ("JC", "Jogo de cama", "63022100", 17990, 59990, 1900, (("cor", _COLOURS), ("tamanho", _BEDS))),
            ("ED", "Edredom", "94044000", 24990, 69990, 2600, (("cor", _COLOURS), ("tamanho", _BEDS))),
            ("TR", "Travesseiro", "94049000", 4990, 18990, 900, (("enchimento", ("Pluma", "Látex", "Fibra")),)),
            ("MT", "Manta de tricô", "63013000", 12990, 32990, 1400, (("cor", _COLOURS),)),
        ),
    ),
    (
        "banho",
        "Banho",
        (
            ("TB", "Toalha de banho", "63026000", 3990, 12990, 520, (("cor", _COLOURS),)),
            ("TP", "Toalha de piso", "63026000", 2490, 6990, 380, (("cor", _COLOURS),)),
            ("RP", "Roupão", "62079100", 14990, 34990, 1200, (("cor", _COLOURS), ("tamanho", ("P", "M", "G")))),
        ),
    ),
    (
        "mesa",
        "Mesa e cozinha",
        (
            ("TM", "Toalha de mesa", "63025100", 6990, 24990, 700, (("cor", _COLOURS), ("lugares", ("4", "6", "8")))),
            ("JA", "Jogo americano", "63025100", 2990, 9990, 300, (("cor", _COLOURS),)),
            ("PR", "Prato raso de cerâmica", "69120000", 2990, 8990, 780, (("cor", _COLOURS),)),
            ("XC", "Xícara com pires", "69120000", 2490, 6990, 420, (("cor", _COLOURS),)),
            ("PN", "Panela de ferro", "73239200", 15990, 49990, 4200, (("litros", ("2", "3", "5")),)),
        ),
    ),
    (
        "sala",
        "Sala e varanda",
        (
            (
                "RD",
                "Rede de descanso",
                "63049100",
                19990,
                49990,
                2300,
                (("cor", _COLOURS), ("tamanho", ("Casal", "Solteiro"))),
            ),
            ("AL", "Almofada", "94049000", 4990, 14990, 600, (("cor", _COLOURS),)),
            (
                "TA",
                "Tapete de sisal",
                "57029200",
                18990,
                89990,
                5200,
                (("tamanho", ("1,5 x 2 m", "2 x 2,5 m", "2 x 3 m")),),
            ),
            ("LU", "Luminária de mesa", "94052100", 12990, 39990, 1700, (("cor", _COLOURS[:4]),)),
            ("VA", "Vaso de barro", "69139000", 5990, 24990, 3100, (("tamanho", ("P", "M", "G")),)),
            (
                "CO",
                "Cortina de linho",
                "63039200",
                14990,
                44990,
                1800,
                (("cor", _COLOURS), ("altura", ("2,3 m", "2,6 m"))),
            ),
        ),
    ),
)
LINES = (
    "Percal,Jaguaribe,Felpa,Caraíva,Mantiqueira,Pantanal,Cariri,Ilhabela,Serra,Marajó,Chapada,Lençóis,Capim,Baía,Sertão,"
    "Ipanema,Olinda,Tiradentes,Pampulha,Guaíba,Noronha,Abrolhos,Iguaçu,Bonito"
).split(",")

# (code, name, kind, city, state, entity, daily capacity, can_pickup)
Site = tuple[str, str, str, str, str, str, int | None, bool]
SITES: tuple[Site, ...] = (
    ("CD-CAJAMAR", "CD Cajamar", "distribution_centre", "Cajamar", "SP", "own", None, False),
    ("CD-JABOATAO", "CD Jaboatão", "distribution_centre", "Jaboatão dos Guararapes", "PE", "own", None, False),
    ("CD-CONTAGEM", "CD Contagem", "distribution_centre", "Contagem", "MG", "own", None, False),
    ("FAB-BLUMENAU", "Fábrica Blumenau", "factory", "Blumenau", "SC", "own", 120, False),
    ("OP-MANAUS", "Operador Manaus", "third_party", "Manaus", "AM", "own", 80, False),
    ("SP-PAULISTA", "Loja Paulista", "store", "São Paulo", "SP", "own", 40, True),
    ("SP-MOEMA", "Loja Moema", "store", "São Paulo", "SP", "own", 40, True),
    ("SP-CAMPINAS", "Loja Campinas", "store", "Campinas", "SP", "own", 30, True),
    ("SP-SANTOS", "Loja Santos", "store", "Santos", "SP", "own", 25, True),
    ("SP-RIBEIRAO", "Loja Ribeirão Preto", "store", "Ribeirão Preto", "SP", "own", 25, True),
    ("RJ-IPANEMA", "Loja Ipanema", "store", "Rio de Janeiro", "RJ", "own", 40, True),
    ("RJ-BARRA", "Loja Barra", "store", "Rio de Janeiro", "RJ", "own", 40, True),
    ("RJ-NITEROI", "Loja Niterói", "store", "Niterói", "RJ", "own", 25, True),
    ("MG-SAVASSI", "Loja Savassi", "store", "Belo Horizonte", "MG", "own", 35, True),
    ("MG-UBERLANDIA", "Loja Uberlândia", "store", "Uberlândia", "MG", "own", 20, True),
    ("ES-VITORIA", "Loja Vitória", "store", "Vitória", "ES", "own", 20, True),
    ("PR-BATEL", "Loja Batel", "store", "Curitiba", "PR", "own", 30, True),
    ("PR-LONDRINA", "Loja Londrina", "store", "Londrina", "PR", "own", 20, True),
    ("SC-FLORIPA", "Loja Florianópolis", "store", "Florianópolis", "SC", "own", 25, True),
    ("RS-MOINHOS", "Loja Moinhos", "store", "Porto Alegre", "RS", "own", 30, True),
    ("RS-CAXIAS", "Loja Caxias do Sul", "store", "Caxias do Sul", "RS", "own", 20, True),
    ("DF-ASASUL", "Loja Asa Sul", "store", "Brasília", "DF", "own", 30, True),
    ("GO-GOIANIA", "Loja Goiânia", "store", "Goiânia", "GO", "own", 25, True),
    ("BA-BARRA", "Loja Salvador Barra", "store", "Salvador", "BA", "own", 30, True),
    ("BA-ILHEUS", "Franquia Ilhéus", "store", "Ilhéus", "BA", "franchise", 15, True),
    ("PE-BOAVIAGEM", "Loja Recife Boa Viagem", "store", "Recife", "PE", "own", 35, True),
    ("PE-CARUARU", "Franquia Caruaru", "store", "Caruaru", "PE", "franchise", 15, True),
    ("PB-MANAIRA", "Franquia João Pessoa", "store", "João Pessoa", "PB", "franchise", 20, True),
    ("PB-CAMPINA", "Franquia Campina Grande", "store", "Campina Grande", "PB", "franchise", 15, True),
    ("RN-TIROL", "Franquia Natal Tirol", "store", "Natal", "RN", "franchise", 20, True),
    ("AL-PAJUCARA", "Franquia Maceió Pajuçara", "store", "Maceió", "AL", "franchise", 20, True),
    ("CE-ALDEOTA", "Loja Fortaleza Aldeota", "store", "Fortaleza", "CE", "own", 30, True),
    ("MA-RENASCENCA", "Franquia São Luís", "store", "São Luís", "MA", "franchise", 15, True),
    ("PA-UMARIZAL", "Loja Belém Umarizal", "store", "Belém", "PA", "own", 20, True),
    ("MT-CUIABA", "Franquia Cuiabá", "store", "Cuiabá", "MT", "franchise", 15, True),
    ("SP-RETIRA", "Ponto de retirada Sorocaba", "pickup_point", "Sorocaba", "SP", "own", 20, True),
)

# Whose goods are consigned at a site of the retailer: (site, establishment, name there, legal name, root of its CNPJ), and
# which kinds of goods it makes.
CONSIGNED_AT, CONSIGNOR, CONSIGNOR_NAME, CONSIGNOR_LEGAL, CONSIGNOR_ROOT = (
    "CD-CAJAMAR",
    "OLARIA",
    "Olaria Tracunhaém",
    "Olaria Tracunhaém Ltda.",
    "58216407",
)
CONSIGNED_KINDS = ("PR", "XC", "VA")

# Who sends its own goods to customers, and supplies the depots with them: (location, establishment, name, legal name,
# root of its CNPJ, city, state), and which kinds of goods it makes.
VENDOR, SUPPLIER, VENDOR_NAME, VENDOR_LEGAL, VENDOR_ROOT, VENDOR_CITY, VENDOR_STATE = (
    "FORN-TECELAGEM",
    "TECELAGEM",
    "Tecelagem Sul",
    "Tecelagem Sul Ltda.",
    "30958214",
    "Brusque",
    "SC",
)
VENDOR_KINDS = ("ED", "MT", "CO")
