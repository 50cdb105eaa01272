// What the system needs in one resource group: lake, secrets, PostgreSQL, containers, and a Synapse pool if wanted.
// Everything signs in to storage and vault with one managed identity; no storage key reaches the code.
//   az deployment group create --resource-group NAME --template-file deploy/azure/main.bicep --parameters @values.json

@description('Prefix of all names: 3 to 11 small letters and digits.')
@minLength(3)
@maxLength(11)
param name string

param location string = resourceGroup().location

@description('Image built from deploy/Dockerfile, in a registry the environment may pull from.')
param image string

@description('Mapping of the operational database: a shipped name, or a path inside the image.')
param sourceMapping string

@description('First business date, YYYY-MM-DD.')
param startDate string

@secure()
@description('SQLAlchemy URL of the operational database.')
param sourceUrl string

@secure()
@description('SQLAlchemy URL of the warehouse; with deploySynapse the pool this template makes.')
param warehouseUrl string

@secure()
@description('Letters and digits only, because it goes into URLs.')
param postgresPassword string

@description('Adds a Synapse workspace with a dedicated pool, which costs money while it is not paused.')
param deploySynapse bool = false

@secure()
@description('Password of the Synapse administrator; needed with deploySynapse.')
param synapsePassword string = ''

var blobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6'
var postgresHost = postgres.properties.fullyQualifiedDomainName

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-identity'
  location: location
}

resource lake 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: '${name}lake'
  location: location
  kind: 'StorageV2'
  sku: { name: 'Standard_ZRS' }
  properties: {
    isHnsEnabled: true
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource tables 'containers' = {
      name: 'lake'
    }

    resource logs 'containers' = {
      name: 'dagster-logs'
    }
  }
}

resource lakeAccess 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(lake.id, identity.id, blobDataContributor)
  scope: lake
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
  }
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: '${name}-vault'
  location: location
  properties: {
    tenantId: subscription().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
  }

  resource source 'secrets' = {
    name: 'source-url'
    properties: { value: sourceUrl }
  }

  resource warehouse 'secrets' = {
    name: 'warehouse-url'
    properties: { value: warehouseUrl }
  }

  resource application 'secrets' = {
    name: 'application-url'
    properties: { value: 'postgresql+psycopg://retail:${postgresPassword}@${postgresHost}/application?sslmode=require' }
  }

  resource mlflow 'secrets' = {
    name: 'mlflow-url'
    properties: { value: 'postgresql+psycopg2://retail:${postgresPassword}@${postgresHost}/mlflow?sslmode=require' }
  }

  resource dagster 'secrets' = {
    name: 'dagster-url'
    properties: { value: 'postgresql+psycopg2://retail:${postgresPassword}@${postgresHost}/dagster?sslmode=require' }
  }
}

resource vaultAccess 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, identity.id, secretsUser)
  scope: vault
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
  }
}

resource postgres 'Microsoft.DBforPostgreSQL/flexibleServers@2024-08-01' = {
  name: '${name}-postgres'
  location: location
  sku: { name: 'Standard_B2s', tier: 'Burstable' }
  properties: {
    version: '16'
    administratorLogin: 'retail'
    administratorLoginPassword: postgresPassword
    storage: { storageSizeGB: 32 }
    backup: { backupRetentionDays: 14 }
  }

  resource azureOnly 'firewallRules' = {
    name: 'azure-services'
    properties: { startIpAddress: '0.0.0.0', endIpAddress: '0.0.0.0' }
  }

  resource databases 'databases' = [for database in ['dagster', 'application', 'mlflow']: {
    name: database
  }]
}

// The models' files and scratch space. Never a SQLite file: its locks do not hold on a share.
resource files 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: '${name}files'
  location: location
  kind: 'StorageV2'
  sku: { name: 'Standard_ZRS' }
  properties: { minimumTlsVersion: 'TLS1_2', allowBlobPublicAccess: false }

  resource shares 'fileServices' = {
    name: 'default'

    resource data 'shares' = {
      name: 'data'
      properties: { shareQuota: 100 }
    }
  }
}

resource logAnalytics 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: '${name}-logs'
  location: location
  properties: { sku: { name: 'PerGB2018' }, retentionInDays: 30 }
}

resource environment 'Microsoft.App/managedEnvironments@2024-03-01' = {
  name: '${name}-environment'
  location: location
  properties: {
    appLogsConfiguration: {
      destination: 'log-analytics'
      logAnalyticsConfiguration: {
        customerId: logAnalytics.properties.customerId
        sharedKey: logAnalytics.listKeys().primarySharedKey
      }
    }
  }

  resource data 'storages' = {
    name: 'data'
    properties: {
      azureFile: {
        accountName: files.name
        accountKey: files.listKeys().keys[0].value
        shareName: files::shares::data.name
        accessMode: 'ReadWrite'
      }
    }
  }
}

var settings = [
  { name: 'AZURE_CLIENT_ID', value: identity.properties.clientId }
  { name: 'DAGSTER_POSTGRES_URL', secretRef: 'dagster-url' }
  { name: 'DAGSTER_LOGS_ACCOUNT', value: lake.name }
  { name: 'DAGSTER_LOGS_CONTAINER', value: lake::blobs::logs.name }
  { name: 'RETAIL_KEY_VAULT_URL', value: vault.properties.vaultUri }
  { name: 'RETAIL_SOURCE_MAPPING', value: sourceMapping }
  { name: 'RETAIL_SOURCE_URL', value: 'kv:source-url' }
  { name: 'RETAIL_START_DATE', value: startDate }
  { name: 'RETAIL_LAKE_URI', value: 'abfss://${lake::blobs::tables.name}@${lake.name}.dfs.${az.environment().suffixes.storage}/retail' }
  { name: 'RETAIL_WAREHOUSE_URL', value: 'kv:warehouse-url' }
  { name: 'RETAIL_APP_DATABASE_URL', value: 'kv:application-url' }
  { name: 'MLFLOW_TRACKING_URI', value: 'kv:mlflow-url' }
]

var apps = [
  {
    name: 'code'
    command: []
    cpu: '2'
    memory: '4Gi'
    ingress: { external: false, transport: 'tcp', targetPort: 4000, exposedPort: 4000 }
  }
  {
    name: 'webserver'
    command: ['dagster-webserver', '--workspace', '/opt/dagster/workspace.yaml', '--host', '0.0.0.0', '--port', '3000']
    cpu: '0.5'
    memory: '1Gi'
    // Dagster has no sign-in of its own: put a gateway with Entra ID before it, or reach it over the private network.
    ingress: { external: false, transport: 'http', targetPort: 3000 }
  }
  {
    name: 'daemon'
    command: ['dagster-daemon', 'run', '--workspace', '/opt/dagster/workspace.yaml']
    cpu: '0.5'
    memory: '1Gi'
    ingress: null
  }
  {
    name: 'dashboard'
    command: ['streamlit', 'run', '/app/dashboards/app.py', '--server.address=0.0.0.0', '--server.port=8501', '--server.headless=true']
    cpu: '1'
    memory: '2Gi'
    ingress: { external: false, transport: 'http', targetPort: 8501, stickySessions: { affinity: 'sticky' } }
  }
]

resource containers 'Microsoft.App/containerApps@2024-03-01' = [for app in apps: {
  name: app.name
  location: location
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identity.id}': {} } }
  dependsOn: [lakeAccess, vaultAccess, environment::data]
  properties: {
    environmentId: environment.id
    configuration: {
      ingress: app.ingress
      secrets: [
        { name: 'dagster-url', keyVaultUrl: vault::dagster.properties.secretUri, identity: identity.id }
        { name: 'dagster-yaml', value: loadTextContent('dagster.yaml') }
        { name: 'workspace-yaml', value: loadTextContent('../compose/workspace.yaml') }
      ]
    }
    template: {
      // One replica each: a second daemon would start every schedule twice, a second code location splits its runs.
      scale: { minReplicas: 1, maxReplicas: 1 }
      volumes: [
        { name: 'data', storageType: 'AzureFile', storageName: 'data' }
        {
          name: 'dagster'
          storageType: 'Secret'
          secrets: [
            { secretRef: 'dagster-yaml', path: 'dagster.yaml' }
            { secretRef: 'workspace-yaml', path: 'workspace.yaml' }
          ]
        }
      ]
      containers: [
        {
          name: app.name
          image: image
          command: app.command
          env: settings
          resources: { cpu: json(app.cpu), memory: app.memory }
          volumeMounts: [
            { volumeName: 'data', mountPath: '/data' }
            { volumeName: 'dagster', mountPath: '/opt/dagster/dagster.yaml', subPath: 'dagster.yaml' }
            { volumeName: 'dagster', mountPath: '/opt/dagster/workspace.yaml', subPath: 'workspace.yaml' }
          ]
        }
      ]
    }
  }
}]

resource synapse 'Microsoft.Synapse/workspaces@2021-06-01' = if (deploySynapse) {
  name: '${name}-synapse'
  location: location
  identity: { type: 'SystemAssigned' }
  properties: {
    defaultDataLakeStorage: { accountUrl: lake.properties.primaryEndpoints.dfs, filesystem: lake::blobs::tables.name }
    sqlAdministratorLogin: 'retail'
    sqlAdministratorLoginPassword: synapsePassword
  }

  resource azureOnly 'firewallRules' = {
    name: 'AllowAllWindowsAzureIps'
    properties: { startIpAddress: '0.0.0.0', endIpAddress: '0.0.0.0' }
  }

  resource pool 'sqlPools' = {
    name: 'warehouse'
    location: location
    sku: { name: 'DW100c' }
  }
}

// COPY INTO reads the staged Parquet files as the workspace, not as whoever is signed in.
resource synapseAccess 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (deploySynapse) {
  name: guid(lake.id, name, 'synapse', blobDataContributor)
  scope: lake
  properties: {
    principalId: deploySynapse ? synapse!.identity.principalId : ''
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
  }
}

output lakeUri string = 'abfss://${lake::blobs::tables.name}@${lake.name}.dfs.${az.environment().suffixes.storage}/retail'
output vaultUrl string = vault.properties.vaultUri
