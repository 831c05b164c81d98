//! The page for those who come from Brighter for .NET speaks of each of its attributes and types that a program uses.

use std::collections::BTreeSet;

use brighter_book::Page;

/// What an application of Brighter 10.7 names, by the inventory of its source.
const NAMES: &str = "
    RequestLogging UsePolicy UseResiliencePipeline UseTypePipeline FallbackPolicy TimeoutPolicy UseInbox NoGlobalInbox
    Monitor ValidateRequest FeatureSwitch RejectMessageOnError DeferMessageOnError DontAckOnError RequestHandlerAttribute
    HandlerTiming PublicationTopic WrapWithAttribute UnwrapWithAttribute CloudEvents ReadFromCloudEvents ClaimCheck
    RetrieveClaim Compress Decompress MassTransitWrap MassTransitUnwrap MassTransitMessage JustSaying JustSayingDecompress

    IAmACommandProcessor CommandProcessor Send SendAsync Publish PublishAsync Post PostAsync DepositPost DepositPostAsync
    ClearOutbox ClearOutboxAsync Call Repost SpyCommandProcessor CommandProcessorBuilder HandlerConfiguration IQueryProcessor

    IRequest ICommand Command IEvent Event ICall Request IResponse Reply ReplyAddress Id RoutingKey ChannelName
    SubscriptionName PartitionKey CloudEventsType TraceParent TraceState Baggage Publication ProducerKey ProducerRegistry
    IAmAPublicationFinder Message MessageHeader MessageBody MessageType RequestContext IAmARequestContextFactory
    RequestContextBagNames

    RequestHandler RequestHandlerAsync PipelineBuilder IAmAHandlerFactorySync HandlerLifetime IPolicyRegistry
    ResiliencePipelineProvider ResiliencePipelineRegistry ResilienceContext BrokenCircuitException
    IAmAFeatureSwitchRegistry MissingConfigStrategy MonitorEvent ValidatePipelines DescribePipelines

    DeferMessageAction RejectMessageAction InvalidMessageAction DontAckAction ConfigurationException
    MessageMappingException ChannelFailureException RequestValidationException OnceOnlyException
    OutboxLimitReachedException PipelineValidationException AggregateException

    IAmAMessageMapper MessageMapperRegistry JsonMessageMapper CloudEventJsonMessageMapper IAmAMessageTransform
    TransformPipelineBuilder WrapPipeline UnwrapPipeline IAmAStorageProvider JsonSerialisationOptions

    IAmAnOutboxSync IAmACausationTrackingOutbox OutboxProducerMediator IAmAnOutboxProducerMediator
    IAmABoxTransactionProvider InMemoryOutbox InMemoryInbox IAmAnInboxSync InboxConfiguration InboxScope
    TimedOutboxSweeper UseOutboxSweeper UseOutboxArchiver IAmAnArchiveProvider IDistributedLock UseBoxProvisioning

    Subscription bufferSize noOfPerformers timeOut requeueCount requeueDelay unacceptableMessageLimit
    unacceptableMessageLimitWindow makeChannels OnMissingChannel emptyChannelDelay channelFailureDelay getRequestType
    isDurable highAvailability deadLetterChannelName deadLetterRoutingKey DeadLetterNamingConvention
    InvalidMessageNamingConvention IUseBrighterDeadLetterSupport IUseBrighterInvalidMessageSupport ttl maxQueueLength
    queueType messagePumpType Dispatcher DispatchBuilder Receive End Open Shut SetActivePerformers Performer Reactor
    Proactor ConsumerFactory Channel ChannelAsync ServiceActivatorHostedService ConfigurationCommand HeartbeatRequest
    HeartbeatReply NodeStatusEvent

    RmqMessagingGatewayConnection AmqpUriSpecification Exchange DeadLetterExchange PersistMessages RmqMessageProducer
    RmqMessageConsumer RmqMessagePublisher RmqMessageCreator RmqMessageGatewayConnectionPool RmqTlsConfigurator
    ISupportPublishConfirmation PublishConfirmationResult

    IAmAMessageScheduler IAmARequestScheduler InMemorySchedulerFactory InMemoryScheduler FireSchedulerRequest
    FireSchedulerMessage RequestSchedulerType OnSchedulerConflict Mediator Workflow Step Runner Scheduler
    InstrumentationOptions ActivitySource Meter InternalBus TimeProvider

    AddBrighter AddProducers ProducersConfiguration AddConsumers ConsumersOptions AutoFromAssemblies HandlersFromAssemblies
    Handlers AsyncHandlers MapperRegistryFromAssemblies MessageMappers SetDefaultMessageMapper TransformsFromAssemblies
    MapperLifetime TransformerLifetime DefaultResilience AddBrighterDefault ConfigureFeatureSwitches FeatureSwitchRegistry
    RequestContextFactory ExternalBus NoExternalBus ExternalBusType UseRpc ReplyQueueSubscriptions ResponseChannelFactory
    ConnectionProvider TransactionProvider DistributedLock ArchiveProvider MaxOutStandingMessages
    MaxOutStandingCheckInterval OutboxTimeout DefaultChannelFactory ChannelFactory ShutdownTimeout UseScheduler
    RequestSchedulerFactory UsePublicationFinder UseExternalLuggageStore ConfigureJsonSerialisation
    ConfigureInstrumentation NoInstrumentation SendersAddress JobId WorkflowId DataRef DataSchema OriginatingMessage
    WaitForConfirmsTimeOutInMilliseconds IAmABulkMessageProducer ConnectionPolicyFactory ExchangeConfigurationHelper
    IAmACausationTrackingInbox ReplayCausation";

#[test]
fn every_name_of_the_other_brighter_has_its_row() {
    let page = Page::read("docs/book/src/coming-from/csharp-brighter.md").unwrap();
    // What stands in code in the first column of a table.
    let firsts = page
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let said: BTreeSet<&str> = firsts
        .flat_map(|first| first.split('`').skip(1).step_by(2))
        .collect();
    let missing: Vec<&str> = NAMES
        .split_whitespace()
        .filter(|name| !said.contains(name))
        .collect();
    assert!(missing.is_empty(), "the page says nothing of {missing:?}");
    println!(
        "C#: {} names, each with its row",
        NAMES.split_whitespace().count()
    );
}
