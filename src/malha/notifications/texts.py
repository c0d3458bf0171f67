"""The texts that come with the program, by kind and language. A retailer may write others; these can always be had back.

Paragraphs are separated by an empty line; one whose every placeholder is empty is left out. `**so**` is bold.
"""

from malha.notifications.model import Channel, Kind, Text

_GREETING = {"pt-BR": "Olá, {customer_name}!", "en": "Hello {customer_name},"}

_MAIL: dict[Kind, dict[str, tuple[str, str]]] = {
    Kind.PLACED: {
        "pt-BR": (
            "Recebemos seu pedido #{order_number}",
            (
                "Recebemos o seu pedido **#{order_number}**. Obrigado por comprar conosco.\n\n{payment_note}\n\n"
                "Previsão: **{promised_day}**.\n\nPrevisão dos primeiros itens: **{first_day}**.\n\n{items}\n\n{track_button}"
            ),
        ),
        "en": (
            "We have your order #{order_number}",
            (
                "We have received your order **#{order_number}**. Thank you for shopping with us.\n\n{payment_note}\n\n"
                "Expected by **{promised_day}**.\n\nThe first items are expected by **{first_day}**.\n\n{items}\n\n{track_button}"
            ),
        ),
    },
    Kind.PAID: {
        "pt-BR": (
            "Pagamento confirmado: pedido #{order_number}",
            (
                "O pagamento do pedido **#{order_number}** foi confirmado. Já estamos cuidando dele.\n\n"
                "Previsão: **{promised_day}**.\n\nPrevisão dos primeiros itens: **{first_day}**.\n\n{items}\n\n{track_button}"
            ),
        ),
        "en": (
            "Payment confirmed: order #{order_number}",
            (
                "The payment of your order **#{order_number}** is confirmed. We are already working on it.\n\n"
                "Expected by **{promised_day}**.\n\nThe first items are expected by **{first_day}**.\n\n{items}\n\n{track_button}"
            ),
        ),
    },
    Kind.ON_HOLD: {
        "pt-BR": (
            "Seu pedido #{order_number} está em espera",
            (
                "O seu pedido **#{order_number}** está em espera.\n\n{hold_reason}\n\n"
                "Se precisar de ajuda, é só responder a este e-mail.\n\n{track_button}"
            ),
        ),
        "en": (
            "Your order #{order_number} is on hold",
            (
                "Your order **#{order_number}** is on hold.\n\n{hold_reason}\n\n"
                "If you need help, just answer this e-mail.\n\n{track_button}"
            ),
        ),
    },
    Kind.LATE: {
        "pt-BR": (
            "Seu pedido #{order_number} está atrasado",
            (
                "Pedimos desculpas: o pedido **#{order_number}**, previsto para **{promised_day}**, está atrasado. "
                "Estamos tratando disso e avisaremos assim que ele sair, ou estiver pronto para retirar.\n\n"
                "Se preferir cancelar ou tiver dúvidas, responda a este e-mail.\n\n{waiting_items}\n\n{track_button}"
            ),
        ),
        "en": (
            "Your order #{order_number} is late",
            (
                "We are sorry: your order **#{order_number}**, promised for **{promised_day}**, is late. "
                "We are on it, and will write as soon as it is on its way, or ready to be collected.\n\n"
                "If you would rather cancel it, or have a question, just answer this e-mail.\n\n{waiting_items}\n\n{track_button}"
            ),
        ),
    },
    Kind.REPROMISED: {
        "pt-BR": (
            "Nova previsão para o pedido #{order_number}",
            (
                "A previsão do seu pedido **#{order_number}** agora é **{promised_day}**.\n\n"
                "Antes era {former_day}.\n\n{promise_reason}\n\n{repromised_items}\n\n"
                "Se a nova data não servir, responda a este e-mail.\n\n{track_button}"
            ),
        ),
        "en": (
            "New date for order #{order_number}",
            (
                "The date of your order **#{order_number}** is now **{promised_day}**.\n\n"
                "It was {former_day} before.\n\n{promise_reason}\n\n{repromised_items}\n\n"
                "If the new date does not suit you, just answer this e-mail.\n\n{track_button}"
            ),
        ),
    },
    Kind.SHIPPED: {
        "pt-BR": (
            "Seu pedido #{order_number} está a caminho",
            (
                "Boa notícia: itens do pedido **#{order_number}** acabaram de sair.\n\n{sent_items}\n\n{parcels}\n\n"
                "Previsão: **{promised_day}**.\n\n{rest_note}\n\n{track_button}"
            ),
        ),
        "en": (
            "Your order #{order_number} is on its way",
            (
                "Good news: items of your order **#{order_number}** have just left.\n\n{sent_items}\n\n{parcels}\n\n"
                "Expected by **{promised_day}**.\n\n{rest_note}\n\n{track_button}"
            ),
        ),
    },
    Kind.OUT_FOR_DELIVERY: {
        "pt-BR": (
            "Chega hoje: pedido #{order_number}",
            (
                "O pedido **#{order_number}** saiu para entrega e deve chegar hoje.\n\n{sent_items}\n\n{parcels}\n\n"
                "Tenha alguém em casa para receber.\n\n{rest_note}\n\n{track_button}"
            ),
        ),
        "en": (
            "Arriving today: order #{order_number}",
            (
                "Your order **#{order_number}** is out for delivery and should arrive today.\n\n{sent_items}\n\n{parcels}\n\n"
                "Somebody should be there to receive it.\n\n{rest_note}\n\n{track_button}"
            ),
        ),
    },
    Kind.DELIVERED: {
        "pt-BR": (
            "Entregue: pedido #{order_number}",
            (
                "A entrega do pedido **#{order_number}** foi registrada. Esperamos que você goste.\n\n{sent_items}\n\n{parcels}\n\n{rest_note}\n\n"
                "Não recebeu? Responda a este e-mail e vamos verificar.\n\n{track_button}"
            ),
        ),
        "en": (
            "Delivered: order #{order_number}",
            (
                "A delivery of your order **#{order_number}** was recorded. We hope you like it.\n\n{sent_items}\n\n{parcels}\n\n{rest_note}\n\n"
                "You have not received it? Answer this e-mail and we will look into it.\n\n{track_button}"
            ),
        ),
    },
    Kind.READY: {
        "pt-BR": (
            "Pode retirar: pedido #{order_number}",
            (
                "O pedido **#{order_number}** está esperando por você no balcão. Mostre este código:\n\n{code_box}\n\n"
                "{pickup_place}\n\nGuardamos para você até **{pickup_day}**.\n\n{items}\n\n{track_button}"
            ),
        ),
        "en": (
            "Ready for pickup: order #{order_number}",
            (
                "Your order **#{order_number}** is waiting for you at the counter. Show this code:\n\n{code_box}\n\n"
                "{pickup_place}\n\nWe keep it for you until **{pickup_day}**.\n\n{items}\n\n{track_button}"
            ),
        ),
    },
    Kind.PICKUP_REMINDER: {
        "pt-BR": (
            "Não esqueça: pedido #{order_number} espera até {pickup_day}",
            (
                "O pedido **#{order_number}** ainda está esperando por você, até **{pickup_day}**. Mostre este código no "
                "balcão:\n\n{code_box}\n\n{pickup_place}\n\n{track_button}"
            ),
        ),
        "en": (
            "A reminder: order #{order_number} waits until {pickup_day}",
            (
                "Your order **#{order_number}** is still waiting for you, until **{pickup_day}**. Show this code at the "
                "counter:\n\n{code_box}\n\n{pickup_place}\n\n{track_button}"
            ),
        ),
    },
    Kind.CANCELLED: {
        "pt-BR": (
            "Pedido #{order_number} cancelado",
            (
                "O pedido **#{order_number}**, de {order_date}, foi cancelado.\n\n{cancelled_items}\n\n"
                "Se você já pagou, o valor será devolvido pela mesma forma de pagamento. Se não pediu o cancelamento ou "
                "tem dúvidas, responda a este e-mail."
            ),
        ),
        "en": (
            "Order #{order_number} cancelled",
            (
                "Your order **#{order_number}** of {order_date} was cancelled.\n\n{cancelled_items}\n\n"
                "If you have already paid, the money goes back the way it came. If you did not ask for this or have a "
                "question, just answer this e-mail."
            ),
        ),
    },
    Kind.CANCELLED_IN_PART: {
        "pt-BR": (
            "Itens cancelados no pedido #{order_number}",
            (
                "Estes itens do pedido **#{order_number}** foram cancelados:\n\n{cancelled_items}\n\n"
                "O restante do pedido segue normalmente e agora soma **{order_total}**. Se você já pagou, a diferença de "
                "**{amount}** será devolvida pela mesma forma de pagamento.\n\n{track_button}"
            ),
        ),
        "en": (
            "Items of order #{order_number} cancelled",
            (
                "These items of your order **#{order_number}** were cancelled:\n\n{cancelled_items}\n\n"
                "The rest of the order goes on, and now comes to **{order_total}**. If you have already paid, the "
                "difference of **{amount}** goes back the way it came.\n\n{track_button}"
            ),
        ),
    },
    Kind.REPLACED: {
        "pt-BR": (
            "Trocamos um item do pedido #{order_number}",
            (
                "Um item do seu pedido **#{order_number}** acabou, e separamos outro no lugar dele. Você não paga nada a "
                "mais por isso.\n\nNão temos mais:\n\n{replaced_items}\n\nNo lugar, você recebe:\n\n{replacing_items}"
                "\n\nO pedido ficou **{amount}** mais barato; se já pagou, a diferença será devolvida.\n\n"
                "Se preferir não receber o novo item, responda a este e-mail.\n\n{track_button}"
            ),
        ),
        "en": (
            "We replaced an item of order #{order_number}",
            (
                "An item of your order **#{order_number}** is sold out, and we have set another one aside in its place. You "
                "pay nothing more for it.\n\nNo longer to be had:\n\n{replaced_items}\n\nInstead you get:\n\n"
                "{replacing_items}\n\nThe order costs **{amount}** less; if you have paid, the difference goes back.\n\n"
                "If you would rather not have the new item, just answer this e-mail.\n\n{track_button}"
            ),
        ),
    },
    Kind.REFUNDED: {
        "pt-BR": (
            "Reembolso do pedido #{order_number}",
            (
                "Devolvemos **{amount}** referentes ao pedido **#{order_number}**, pela mesma forma de pagamento. O prazo "
                "para aparecer depende do banco ou da operadora do cartão.\n\n{track_button}"
            ),
        ),
        "en": (
            "Refund for order #{order_number}",
            (
                "We have refunded **{amount}** of your order **#{order_number}**, the way it was paid. When it shows "
                "depends on your bank or card company.\n\n{track_button}"
            ),
        ),
    },
}


# For SMS and approved texts of WhatsApp. Without accents the Portuguese ones fit into one or two parts.
_SHORT: dict[Kind, dict[str, str]] = {
    Kind.PLACED: {
        "pt-BR": "{retailer}: recebemos seu pedido #{order_number}, total {order_total}. Acompanhe: {tracking_address}",
        "en": "{retailer}: we have your order #{order_number}, total {order_total}. Follow it: {tracking_address}",
    },
    Kind.PAID: {
        "pt-BR": "{retailer}: pagamento do pedido #{order_number} confirmado. Já estamos preparando.",
        "en": "{retailer}: the payment of order #{order_number} is confirmed. We are preparing it.",
    },
    Kind.ON_HOLD: {
        "pt-BR": "{retailer}: seu pedido #{order_number} está em espera. {hold_reason}",
        "en": "{retailer}: your order #{order_number} is on hold. {hold_reason}",
    },
    Kind.LATE: {
        "pt-BR": "{retailer}: seu pedido #{order_number}, previsto para {promised_day}, está atrasado. Pedimos desculpas; avisaremos assim que sair ou estiver pronto.",
        "en": "{retailer}: your order #{order_number}, promised for {promised_day}, is late. We are sorry and will keep you informed.",
    },
    Kind.REPROMISED: {
        "pt-BR": "{retailer}: a nova previsão do pedido #{order_number} é {promised_day}. {promise_reason}",
        "en": "{retailer}: the new date for order #{order_number} is {promised_day}. {promise_reason}",
    },
    Kind.SHIPPED: {
        "pt-BR": "{retailer}: seu pedido #{order_number} está a caminho. Rastreio: {tracking_code}. Acompanhe: {tracking_address}",
        "en": "{retailer}: your order #{order_number} is on its way. Tracking: {tracking_code}. Follow it: {tracking_address}",
    },
    Kind.OUT_FOR_DELIVERY: {
        "pt-BR": "{retailer}: seu pedido #{order_number} saiu para entrega e deve chegar hoje. Acompanhe: {tracking_address}",
        "en": "{retailer}: your order #{order_number} is out for delivery and should arrive today. Follow it: {tracking_address}",
    },
    Kind.DELIVERED: {
        "pt-BR": "{retailer}: seu pedido #{order_number} foi entregue. Obrigado!",
        "en": "{retailer}: your order #{order_number} was delivered. Thank you!",
    },
    Kind.READY: {
        "pt-BR": "{retailer}: pedido #{order_number} pronto para retirada em {pickup_counter} até {pickup_day}. Código: {pickup_code}",
        "en": "{retailer}: order #{order_number} is ready at {pickup_counter} until {pickup_day}. Code: {pickup_code}",
    },
    Kind.PICKUP_REMINDER: {
        "pt-BR": "{retailer}: retire seu pedido #{order_number} em {pickup_counter} até {pickup_day}. Código: {pickup_code}",
        "en": "{retailer}: collect order #{order_number} at {pickup_counter} by {pickup_day}. Code: {pickup_code}",
    },
    Kind.CANCELLED: {
        "pt-BR": "{retailer}: seu pedido #{order_number} foi cancelado. Se já pagou, o valor será devolvido pela mesma forma de pagamento.",
        "en": "{retailer}: your order #{order_number} was cancelled. If you have paid, the money goes back the way it came.",
    },
    Kind.CANCELLED_IN_PART: {
        "pt-BR": "{retailer}: itens do pedido #{order_number} foram cancelados; o pedido agora soma {order_total}. Detalhes: {tracking_address}",
        "en": "{retailer}: items of order #{order_number} were cancelled; it now comes to {order_total}. Details: {tracking_address}",
    },
    Kind.REPLACED: {
        "pt-BR": "{retailer}: um item do pedido #{order_number} acabou e separamos outro no lugar, sem custo a mais. Detalhes: {tracking_address}",
        "en": "{retailer}: an item of order #{order_number} is sold out; another one stands in at no extra cost. Details: {tracking_address}",
    },
    Kind.REFUNDED: {
        "pt-BR": "{retailer}: devolvemos {amount} do pedido #{order_number}, pela mesma forma de pagamento.",
        "en": "{retailer}: we have refunded {amount} of order #{order_number}, the way it was paid.",
    },
}


def default_text(kind: Kind, language: str, channel: Channel = Channel.EMAIL) -> Text:
    """Return the text that comes with the program. Of WhatsApp its subject is the name to register the text under."""
    if channel is not Channel.EMAIL:
        return Text(f"order_{kind.value}" if channel is Channel.WHATSAPP else "", _SHORT[kind][language])
    subject, body = _MAIL[kind][language]
    return Text(subject, f"{_GREETING[language]}\n\n{body}")
